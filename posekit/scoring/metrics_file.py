"""Write metrics.json: scores, and the weights file, posekit version and commit with which the scores were computed."""

import json
import math
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from posekit import __version__
from posekit.files import atomic_write


class HasMetrics(Protocol):
    """Interface of scores that `write_metrics` can write."""

    def to_dict(self, *, weights: str | None, choices: Mapping | None, sections: Mapping | None) -> dict:
        """Return the contents of ``metrics.json``; see `posekit.scoring.score.Scores.to_dict`."""


def write_metrics(
    out_dir: str | Path,
    scores: HasMetrics,
    *,
    weights: str | None = None,
    choices: Mapping | None = None,
    sections: Mapping | None = None,
) -> Path:
    """Write ``metrics.json`` atomically and return its path. For the options, see `posekit.scoring.score.Scores.to_dict`.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    path = Path(out_dir) / "metrics.json"
    text = json.dumps(scores.to_dict(weights=weights, choices=choices, sections=sections), indent=2, allow_nan=False)
    with atomic_write(path) as unfinished:
        unfinished.write_text(text + "\n", encoding="utf-8")
    return path


def metrics_contents(results: Mapping, weights: str | None) -> dict:
    """Return the results with numbers rounded for JSON, and the entries "weights", "posekit" (version) and "commit"."""
    return {**_json_numbers(results), "weights": weights, "posekit": __version__, "commit": _commit()}


def _commit() -> str | None:
    """Return the commit hash of the git checkout; None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        result = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None


def _json_numbers(value):
    """Round floats at any depth, and replace floats that are not finite by None."""
    if isinstance(value, Mapping):
        return {key: _json_numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_numbers(item) for item in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value
