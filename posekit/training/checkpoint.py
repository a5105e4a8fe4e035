"""Checkpoints for resuming a run with bit-identical results. They are written atomically and loaded without unpickling code."""

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
    """Progress of a training run.

    Parameters
    ----------
    epoch : int
        Number of completed epochs, including their validation.
    batch : int
        Number of completed batches in the current epoch.
    people : int
        Number of readable samples in the completed batches of the current epoch.
    seconds, waited : float
        Duration of the current epoch so far, and the time spent waiting for data.
    sums : dict of str to [float, float]
        By column of metrics.csv: a sum and its divisor (see `posekit.training.task.Task.loss`) over the completed batches of
        the current epoch.
    best : float
        Best validation score so far; negated if lower is better.
    bad : list of [int, str]
        Index and error message of each sample that could not be read.
    """

    epoch: int = 0
    batch: int = 0
    people: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    sums: dict[str, list[float]] = field(default_factory=dict)
    best: float = float("-inf")
    bad: list[list] = field(default_factory=list)


def save_checkpoint(folder: Path, progress: Progress, tensors: dict[str, dict], states: dict) -> None:
    """Write a checkpoint next to the previous checkpoint, then replace the previous one.

    Parameters
    ----------
    folder : Path
        Folder of the checkpoint.
    progress : Progress
    tensors : dict of state dicts
        Each state dict is written to NAME.safetensors, where NAME is the key.
    states : dict
        States of the optimizer and the gradient scaler: tensors, numbers, strings, and lists and dicts of these.

    Raises
    ------
    OutputError
        If the checkpoint cannot be written; the previous checkpoint is kept.
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
    """Read a checkpoint written by `save_checkpoint`; returns the progress, the tensors and the states.

    Raises
    ------
    WeightsError
        If the checkpoint is missing, damaged, or written by another version of posekit.
    """
    if not folder.exists():  # the last save was interrupted between the two renames
        folder = folder.with_suffix(".old")
    if not folder.exists():
        raise WeightsError(f"{folder.with_suffix('')}: no checkpoint to resume from; leave out --resume to start a run")
    try:
        progress = Progress(**json.loads((folder / "progress.json").read_text()))
        tensors = {path.stem: load_file(path) for path in sorted(folder.glob("*.safetensors"))}
        states = torch.load(folder / "states.pt", map_location="cpu", weights_only=True)
        return progress, tensors, states
    except TypeError as error:
        raise WeightsError(
            f"{folder}: the checkpoint was written by another version of posekit ({error}); resume with that version"
        ) from error
    except (OSError, ValueError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{folder}: damaged checkpoint ({error}); start the run again with another --out") from error
