"""Checkpoints, from which a run resumes bit for bit. They are written whole or not at all, and loaded without unpickling code."""

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
    """Progress of a run.

    Parameters
    ----------
    epoch : int
        Epochs done, validation included.
    batch : int
        Batches done in the current epoch.
    people : int
        Samples in these batches.
    seconds, waited : float
        Time that these batches took, and the part of it that was spent waiting for data.
    sums : dict of str to [float, float]
        Running sums of these batches (`posekit.training.running_sums`).
    best : float
        Best validation score so far; negative where lower is better.
    bad : list of [int, str]
        Index of each sample that could not be read, and why.
    """

    epoch: int = 0
    batch: int = 0
    people: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    sums: dict[str, list[float]] = field(default_factory=dict)
    best: float = float("-inf")
    bad: list[list] = field(default_factory=list)

    def next_epoch(self) -> None:
        """Count an epoch, and reset the counts of its batches."""
        self.epoch += 1
        self.batch = 0
        self.people = 0
        self.seconds = 0.0
        self.waited = 0.0
        self.sums = {}


def save_checkpoint(folder: Path, progress: Progress, tensors: dict[str, dict], states: dict) -> None:
    """Write a checkpoint beside the previous one, then replace it.

    Parameters
    ----------
    folder : Path
    progress : Progress
    tensors : dict of state dicts
        Each is written as NAME.safetensors.
    states : dict
        Of the optimizer and the like: tensors, numbers, strings, and lists and dicts of these.

    Raises
    ------
    OutputError
        If it cannot be written; the previous checkpoint is kept.
    """
    new = folder.with_suffix(".new")
    old = folder.with_suffix(".old")
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        for name, state in tensors.items():
            contiguous = {key: tensor.contiguous() for key, tensor in state.items()}
            save_file(contiguous, new / f"{name}.safetensors")
        torch.save(states, new / "states.pt")
        (new / "progress.json").write_text(json.dumps(asdict(progress)))
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        new.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise OutputError(f"{folder}: the checkpoint cannot be written ({error}); the previous one is kept") from error


def load_checkpoint(folder: Path) -> tuple[Progress, dict[str, dict], dict]:
    """Read a checkpoint of `save_checkpoint`.

    Returns
    -------
    progress, tensors, states

    Raises
    ------
    WeightsError
        If there is none, or it is damaged or of another version.
    """
    if not folder.exists():  # the last save stopped between its two renames
        folder = folder.with_suffix(".old")
    if not folder.exists():
        raise WeightsError(f"{folder.with_suffix('')}: no checkpoint to resume from; leave out --resume to start a run")
    try:
        progress = Progress(**json.loads((folder / "progress.json").read_text()))
        tensors = {path.stem: load_file(path) for path in sorted(folder.glob("*.safetensors"))}
        states = torch.load(folder / "states.pt", map_location="cpu", weights_only=True)
        return progress, tensors, states
    except TypeError as error:
        raise WeightsError(f"{folder}: a checkpoint of another version of posekit ({error}); resume with that version") from error
    except (OSError, ValueError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{folder}: damaged checkpoint ({error}); start the run again in another --out") from error
