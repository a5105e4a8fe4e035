"""The file results.yaml: for each run of a comparison, scores, configuration, machine and software."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from posekit.errors import DataError
from posekit.files import atomic_write
from posekit.scoring.repeats import ERROR_TITLES, MEAN

_FORMAT = "posekit comparison 1"


def write_results_file(path: Path, runs: Sequence[Mapping]) -> None:
    """Write results.yaml; `runs` holds excerpts of the runs' metrics.json. Raises `OutputError` if the file cannot be written."""
    text = yaml.safe_dump({"format": _FORMAT, "runs": list(runs)}, sort_keys=False, allow_unicode=True)
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def read_results_file(path: Path) -> dict[tuple[str, int], tuple[str, dict[str, float]]]:
    """Load results.yaml as a dictionary: (model, seed) -> (name of the metric, values in percent by joint group or error).

    Raises
    ------
    DataError
        If the file cannot be read, or is not the results.yaml of a comparison.
    """
    try:
        contents = yaml.safe_load(path.read_text(encoding="utf-8"))
        if contents["format"] != _FORMAT or not contents["runs"]:
            raise ValueError(f"format is not {_FORMAT!r}, or there are no runs")
        return {(run["comparison"]["model"], run["comparison"]["seed"]): _values(run) for run in contents["runs"]}
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise DataError(f"{path}: not a results.yaml of posekit compare ({' '.join(str(error).split())})") from error


def _values(run: Mapping) -> tuple[str, dict[str, float]]:
    if "groups" in run:
        return run["metric"], {**run["groups"], MEAN: float(run["pooled_mean"])}
    values = {}
    for key, title in ERROR_TITLES.items():
        if key == "error" or run.get(key) is not None:
            values[title] = float(run[key])
    return "error", values
