"""The run's checkpoint, from which training goes on bit for bit. Written whole or not at all; nothing is unpickled freely."""

import json
import pickle
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from posekit.errors import OutputError, WeightsError


@dataclass
class Progress:
    """How far a run is.

    Parameters
    ----------
    epoch : int
        Epochs done, validation included.
    batch : int
        Batches of the next epoch done.
    people : int
        Those of these batches.
    seconds, waited : float
        What these batches took, and the part of it that was spent waiting for them.
    tallies : dict of str to [float, float]
        Of each training figure in these batches: the sum, and what it is divided by.
    best : float
        Best validation score so far; of one that is the better the lower, the negative.
    bad : list of [int, str]
        People whose sample could not be made, and why.
    """

    epoch: int = 0
    batch: int = 0
    people: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    tallies: dict[str, list[float]] = field(default_factory=dict)
    best: float = float("-inf")
    bad: list[list] = field(default_factory=list)

    def next_epoch(self) -> None:
        """An epoch is done: count what belongs to one from 0."""
        self.epoch += 1
        self.batch, self.people, self.seconds, self.waited, self.tallies = 0, 0, 0.0, 0.0, {}


def save_checkpoint(folder: Path, progress: Progress, tensors: dict[str, dict], states: dict) -> None:
    """Write a checkpoint beside the old one, then put it in its place.

    Parameters
    ----------
    folder : Path
    progress : Progress
    tensors : dict of state dicts
        Each becomes NAME.safetensors.
    states : dict
        Optimizer and the like: tensors, numbers, strings, lists and dicts of such.

    Raises
    ------
    OutputError
        If it cannot be written; the old checkpoint is then still there.
    """
    new, old = folder.with_suffix(".new"), folder.with_suffix(".old")
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        for name, state in tensors.items():
            save_file({key: value.contiguous() for key, value in state.items()}, new / f"{name}.safetensors")
        torch.save(states, new / "states.pt")
        (new / "progress.json").write_text(json.dumps(asdict(progress)))
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        new.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise OutputError(f"{folder}: the checkpoint cannot be written ({error}); the one before it is kept") from error


def load_checkpoint(folder: Path) -> tuple[Progress, dict[str, dict], dict]:
    """Read what `save_checkpoint` wrote.

    Returns
    -------
    progress, tensors, states

    Raises
    ------
    WeightsError
        If there is none, or it is damaged.
    """
    if not folder.exists():  # the last save was cut off between its two renames
        folder = folder.with_suffix(".old")
    if not folder.exists():
        raise WeightsError(f"{folder.with_suffix('')}: no checkpoint to resume from; leave out --resume to start a run")
    try:
        progress = Progress(**json.loads((folder / "progress.json").read_text()))
        tensors = {path.stem: load_file(path) for path in sorted(folder.glob("*.safetensors"))}
        return progress, tensors, torch.load(folder / "states.pt", map_location="cpu", weights_only=True)
    except TypeError as error:
        raise WeightsError(f"{folder}: a checkpoint of another version of posekit ({error}); go on with that version") from error
    except (OSError, ValueError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{folder}: damaged checkpoint ({error}); start the run again in another --out") from error
