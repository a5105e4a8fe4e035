"""metrics.json: whatever was scored, with what it was made with."""

import json
import math
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from posekit import __version__
from posekit.files import atomic_write


class HasMetrics(Protocol):
    """Scores that can be written."""

    def to_dict(self, *, weights: str | None, choices: Mapping | None, sections: Mapping | None) -> dict:
        """The file's contents; see `posekit.scoring.Scores.to_dict`."""


def write_metrics(
    out_dir: str | Path,
    scores: HasMetrics,
    *,
    weights: str | None = None,
    choices: Mapping | None = None,
    sections: Mapping | None = None,
) -> Path:
    """Write ``metrics.json`` (see `posekit.scoring.Scores.to_dict`); an existing one is replaced only by a whole one.

    Returns
    -------
    Path : of the file.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    path = Path(out_dir) / "metrics.json"
    text = json.dumps(scores.to_dict(weights=weights, choices=choices, sections=sections), indent=2, allow_nan=False)
    with atomic_write(path) as unfinished:
        unfinished.write_text(text + "\n", encoding="utf-8")
    return path


def metrics_contents(results: Mapping, weights: str | None) -> dict:
    """Results with numbers as JSON takes them, and after them what every ``metrics.json`` says of where they come from."""
    return {**_numbers(results), "weights": weights, "posekit": __version__, "commit": _commit()}


def _commit() -> str | None:
    """The checkout's commit; None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _numbers(value):
    """The same, with each number as JSON takes it, however deep it lies."""
    if isinstance(value, Mapping):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(item) for item in value]
    return _number(value) if isinstance(value, float) else value
