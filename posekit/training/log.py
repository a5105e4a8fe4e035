"""What a run tells: metrics.csv and TensorBoard, a row per epoch."""

import csv
import json
from pathlib import Path
from typing import Any

import yaml
from torch.utils.tensorboard import SummaryWriter

from posekit.drawing.training import PCK, TrainingRun
from posekit.errors import DataError, OutputError

_SPELLED = {"bce": "BCE", "ce": "CE", "mse": "MSE"}
_FOCUSING = ("anchor", "focal")
_KINDS = {str: "word", int: "whole number of at least 0", float: "number of at least 0"}


class EpochLog:
    """Rows of numbers, one per epoch, in ``metrics.csv`` and for TensorBoard.

    Parameters
    ----------
    folder : Path
        The run's folder.
    epochs_done : int
        Rows of later epochs, left by a run that was cut off, are dropped.

    Attributes
    ----------
    rows : list of dict
        All rows so far.

    Raises
    ------
    DataError
        If the file is damaged.
    OutputError
        If it cannot be written.
    """

    def __init__(self, folder: Path, epochs_done: int = 0):
        self._path = folder / "metrics.csv"
        earlier = read_metrics(self._path) if self._path.exists() else []
        self.rows = [row for row in earlier if row["epoch"] <= epochs_done]
        try:
            self._board = SummaryWriter(folder / "tensorboard", purge_step=epochs_done + 1)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written ({error.strerror})") from error

    def add(self, row: dict[str, float]) -> None:
        """Append an epoch's row."""
        self.rows.append(row)
        try:
            new = self._path.with_suffix(".new")
            with new.open("w", newline="") as file:
                # Earlier rows may have other columns, where a resumed run validates on other people.
                writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(name for row in self.rows for name in row)))
                writer.writeheader()
                writer.writerows(self.rows)
            new.replace(self._path)
            for name, value in row.items():
                self._board.add_scalar(name, value, row["epoch"])
            self._board.flush()
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written ({error.strerror})") from error

    def close(self) -> None:
        """Close TensorBoard's file."""
        self._board.close()


def read_run(folder: Path) -> TrainingRun:
    """A run as figures show it, finished or not, from its metrics.csv, config.yaml and metrics.json.

    Without a config.yaml the loss is not known, and without a metrics.json (the run is not finished) the
    metric's threshold is not.

    Raises
    ------
    DataError
        If there is no metrics.csv, it has no row, or a file is damaged.
    """
    path = folder / "metrics.csv"
    if not path.is_file():
        raise DataError(f"{folder}: no metrics.csv here; name the folder of a training run that has finished an epoch")
    rows = read_metrics(path)
    if not rows:
        raise DataError(f"{path}: no epoch is finished yet; wait for the first")
    settings, results = folder / "config.yaml", folder / "metrics.json"
    metric = _setting(results, _parsed(results), "metric", str) if results.exists() else None
    return TrainingRun(rows, metric=metric or PCK, **(_settings(settings) if settings.exists() else {}))


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Rows of a run's metrics.csv, each with "epoch"; a number that a row lacks has no key.

    Raises
    ------
    DataError
        If the file cannot be read or is damaged; the message names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            return [_row(row, f"{path}: line {reader.line_num}") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table ({error}); is it a training run's metrics.csv?") from error


def _row(row: dict[str | None, Any], where: str) -> dict[str, float]:
    if None in row or None in row.values():
        raise DataError(f"{where} has not as many cells as the header; mend or delete the line")
    numbers = {name: _number(text, f"{where}, column {name}") for name, text in row.items() if text}
    if not 1 <= numbers.get("epoch", 0) < float("inf"):
        raise DataError(f"{where}: expected an epoch of 1 or more; is it a training run's metrics.csv?")
    return numbers


def _number(text: str, where: str) -> float:
    """Whole numbers stay whole, so that a row read and written again is the same."""
    try:
        number = float(text)
    except ValueError:
        raise DataError(f"{where}: {text[:20]!r} is not a number; mend or delete the line") from None
    return int(text) if text.isdecimal() and number < 2**53 else number


def _settings(path: Path) -> dict[str, Any]:
    """What `TrainingRun` tells of a config.yaml."""
    config = _parsed(path)
    network = _setting(path, config, "model.name", str)  # of a classifier
    sigma = _setting(path, config, "targets.sigma", float)
    stacks, size = (_setting(path, config, key, int) for key in ("model.stacks", "model.input_size"))
    scale = [network, stacks and f"{stacks} stack{'s' * (stacks > 1)}", size and f"{size} px", sigma and f"σ = {sigma:g}"]
    return {
        "loss": ", ".join(filter(None, _loss_parts(path, config))),
        "scale": ", ".join(filter(None, scale)),
        "warmup_epochs": _setting(path, config, "loss.warmup_epochs", int) or 0,
        "warmup_loss": "softmax CE" if network else "BCE",
    }


def _loss_parts(path: Path, config: Any) -> list[str | None]:
    name, gamma = _setting(path, config, "loss.name", str), _setting(path, config, "loss.gamma", float)
    joints, images = _setting(path, config, "loss.ohkm", int), _setting(path, config, "loss.ohem", float)
    anchor = _value(config, "loss.anchor")  # a word or a number
    return [
        _SPELLED.get(name, name),
        f"γ = {gamma:g}" if name in _FOCUSING and gamma is not None else None,
        f"of {anchor}" if name == "anchor" and anchor not in (None, "background") else None,
        joints and f"OHKM {joints}",
        f"OHEM {images:g}" if images not in (None, 1.0) else None,
    ]


def _parsed(path: Path) -> Any:
    """Contents of a YAML or JSON file, whatever they are."""
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    # PyYAML stumbles over scalars that do not fit their tag with errors of many kinds.
    except (OSError, ValueError, LookupError, AttributeError, RecursionError, yaml.YAMLError) as error:
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split())}); was it edited?") from error


def _value(contents: Any, key: str) -> Any:
    for part in key.split("."):
        contents = contents.get(part) if isinstance(contents, dict) else None
    return contents


def _setting(path: Path, contents: Any, key: str, kind: type) -> Any:
    """A setting by its dotted name; None where there is none."""
    value = _value(contents, key)
    if value is None:
        return None
    if not isinstance(value, (int, float) if kind is float else kind) or (kind is not str and not 0 <= value < 1e9):
        raise DataError(f"{path}: {key}: expected a {_KINDS[kind]}, got {str(value)[:20]!r}")
    return value
