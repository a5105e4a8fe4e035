"""Write the log of a training run (metrics.csv and TensorBoard, one row per epoch), and read and draw the log."""

import csv
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from posekit.drawing.training import PCK, TrainingRun, training_curves
from posekit.errors import DataError, OutputError
from posekit.files import atomic_write, writable_folder
from posekit.training.config import LOSSES_WITH_GAMMA

_TITLES = {"bce": "BCE", "ce": "CE", "mse": "MSE"}


class EpochLog:
    """Writes rows of numbers, one per epoch, to ``metrics.csv`` and for TensorBoard; `rows` lists all rows so far.

    Parameters
    ----------
    folder : Path
        The run's folder.
    epochs_done : int
        Number of completed epochs. Existing rows of later epochs, left by an interrupted run, are discarded.

    Raises
    ------
    DataError
        If metrics.csv is damaged.
    OutputError
        If the folder cannot be written to.
    """

    def __init__(self, folder: Path, epochs_done: int = 0):
        from torch.utils.tensorboard import SummaryWriter  # imports torch

        self._path = folder / "metrics.csv"
        earlier = read_metrics(self._path) if self._path.exists() else []
        self.rows = [row for row in earlier if row["epoch"] <= epochs_done]
        try:
            self._board = SummaryWriter(folder / "tensorboard", purge_step=epochs_done + 1)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written ({error.strerror})") from error

    def add(self, row: dict[str, float]) -> None:
        """Append the row of an epoch."""
        self.rows.append(row)
        # Earlier rows may have other columns, for example if the run was resumed with other validation data.
        columns = list(dict.fromkeys(itertools.chain.from_iterable(self.rows)))
        with atomic_write(self._path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=columns)
            writer.writeheader()
            writer.writerows(self.rows)
        try:
            for name, value in row.items():
                self._board.add_scalar(name, value, row["epoch"])
            self._board.flush()
        except OSError as error:
            raise OutputError(f"{self._path.parent / 'tensorboard'}: cannot be written ({error.strerror})") from error

    def close(self) -> None:
        """Close the TensorBoard file."""
        self._board.close()


def draw_run(folder: Path) -> Path:
    """Draw the training curves of a run to figures/training.png; returns the figures folder."""
    figures = writable_folder(folder / "figures")
    training_curves({folder.name: read_run(folder)}).savefig(figures / "training.png")
    return figures


def read_run(folder: Path) -> TrainingRun:
    """Read a training run, finished or not, from its metrics.csv, config.yaml and metrics.json.

    Without config.yaml, the loss is unknown. Without metrics.json, written at the end of a run, the metric's threshold is unknown.

    Raises
    ------
    DataError
        If metrics.csv is missing or has no rows, or a file is damaged.
    """
    path = folder / "metrics.csv"
    if not path.is_file():
        raise DataError(
            f"{folder}: no metrics.csv in this folder; give the folder of a training run with at least one completed epoch"
        )
    rows = read_metrics(path)
    if not rows:
        raise DataError(f"{path}: no epoch is complete yet; try again after the first epoch")
    config = _SettingsFile(folder / "config.yaml")
    results = _SettingsFile(folder / "metrics.json")
    return TrainingRun(
        rows,
        loss=_describe_loss(config),
        scale=_describe_scale(config),
        warmup_epochs=config.count("loss.warmup_epochs") or 0,
        warmup_loss="softmax CE" if config.word("model.name") else "BCE",
        metric=results.word("metric") or PCK,
    )


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Read the rows of metrics.csv. Every row has the key "epoch"; empty cells have no key.

    Raises
    ------
    DataError
        If the file cannot be read or is damaged; the message gives the line number.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            return [_parse_row(row, f"{path}: line {reader.line_num}") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table ({error}); is it a training run's metrics.csv?") from error


def _parse_row(row: dict[str, Any], where: str) -> dict[str, float]:
    # DictReader stores surplus cells under the key None, and fills missing cells with None.
    if None in row or None in row.values():
        raise DataError(f"{where}: the number of cells differs from the header; correct or delete the line")
    numbers = {name: _parse_number(text, f"{where}, column {name}") for name, text in row.items() if text}
    if not 1 <= numbers.get("epoch", 0) < float("inf"):
        raise DataError(f"{where}: expected an epoch of 1 or more; is it a training run's metrics.csv?")
    return numbers


def _parse_number(text: str, where: str) -> float:
    """Parse a cell. Whole numbers become int, so that rewriting the row does not change the text."""
    try:
        number = float(text)
    except ValueError:
        raise DataError(f"{where}: {text[:20]!r} is not a number; correct or delete the line") from None
    return int(text) if text.isdecimal() and number < 2**53 else number


class _SettingsFile:
    """Reads values of a YAML or JSON file by dotted key; None if the key or the file does not exist."""

    def __init__(self, path: Path):
        self._path = path
        self._contents = None
        if not path.exists():
            return
        try:
            text = path.read_text(encoding="utf-8")
            self._contents = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        # PyYAML raises exceptions of many classes for scalars that do not match their tag.
        except (OSError, ValueError, LookupError, AttributeError, RecursionError, yaml.YAMLError) as error:
            raise DataError(f"{path}: cannot be parsed ({' '.join(str(error).split())}); correct or restore the file") from error

    def value(self, key: str) -> Any:
        value = self._contents
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def word(self, key: str) -> str | None:
        return self._checked(key, "word", lambda value: isinstance(value, str))

    def number(self, key: str) -> float | None:
        return self._checked(key, "number of at least 0", _is_sane)

    def count(self, key: str) -> int | None:
        return self._checked(key, "whole number of at least 0", lambda value: isinstance(value, int) and _is_sane(value))

    def _checked(self, key: str, expected: str, is_valid: Callable[[Any], bool]) -> Any:
        value = self.value(key)
        if value is not None and not is_valid(value):
            raise DataError(f"{self._path}: {key}: expected a {expected}, got {str(value)[:20]!r}")
        return value


def _is_sane(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value < 1e9


def _describe_scale(config: _SettingsFile) -> str:
    """Describe the settings that affect the scale of the loss, for example "2 stacks, 128 px, σ = 1"."""
    parts = [config.word("model.name")]  # only classifiers have it
    sigma = config.number("targets.sigma")
    stacks = config.count("model.stacks")
    size = config.count("model.input_size")
    if stacks:
        parts.append(f"{stacks} stack{'s' * (stacks > 1)}")
    if size:
        parts.append(f"{size} px")
    if sigma:
        parts.append(f"σ = {sigma:g}")
    return ", ".join(part for part in parts if part)


def _describe_loss(config: _SettingsFile) -> str:
    """Describe the loss, for example "anchor, γ = 2, OHKM 8"."""
    name = config.word("loss.name")
    gamma = config.number("loss.gamma")
    anchor = config.value("loss.anchor")  # a word or a number
    hard_joints = config.count("loss.ohkm")
    hard_images = config.number("loss.ohem")
    parts = []
    if name:
        parts.append(_TITLES.get(name, name))
    if name in LOSSES_WITH_GAMMA and gamma is not None:
        parts.append(f"γ = {gamma:g}")
    if name == "anchor" and anchor not in (None, "background"):
        parts.append(f"of {anchor}")
    if hard_joints:
        parts.append(f"OHKM {hard_joints}")
    if hard_images not in (None, 1.0):
        parts.append(f"OHEM {hard_images:g}")
    return ", ".join(parts)
