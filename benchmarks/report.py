"""Print the ratios of a benchmark run, write and read the ratios as JSON, and compare them with an earlier run."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ratio import Ratio
from posekit.errors import DataError
from posekit.files import atomic_write
from posekit.machine import describe_load, describe_machine, describe_software
from posekit.tables import text_table

_FORMAT = "posekit benchmark 1"
_CONDITIONS = {"machine": "on another machine", "software": "with other software", "settings": "with other settings"}


@dataclass(frozen=True)
class EarlierRun:
    """Benchmark run loaded by `read_json`: path of the file, conditions of the run, and ratios by name."""

    path: Path
    run: Mapping[str, Any]
    ratios: Mapping[str, Ratio]


def describe_run(settings: Mapping) -> dict:
    """Return date, load, machine, software and settings as a dict for JSON."""
    return {
        "format": _FORMAT,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "load": describe_load(),
        "machine": describe_machine(),
        "software": describe_software(),
        "settings": dict(settings),
    }


def headline(run: Mapping) -> str:
    """Describe the run in one line."""
    machine = run["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in run["software"].items() if version)
    gpu = machine["gpu"] or "no GPU"
    load = "" if run["load"] is None else f", load {run['load']}"
    return f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, {gpu}; {versions}; {run['date']}{load}"


def line(ratio: Ratio) -> str:
    """Describe one ratio in one line."""
    posekit, yardstick, median, quartiles, bound, met = _cells(ratio)
    target = f"; target {bound}: {met}" if ratio.target else ""
    facts = "".join(f"; {name} {fact}" for name, fact in ratio.facts.items())
    return f"{ratio.name}: {posekit}, {ratio.yardstick} {yardstick}, ratio {median} ({quartiles}{target}){facts}"


def table(ratios: Sequence[Ratio]) -> str:
    """Arrange all ratios in an aligned table."""
    rows = [["figure", "posekit", "yardstick", "ratio", "quartiles", "target", ""]]
    for ratio in ratios:
        posekit, yardstick, *cells = _cells(ratio)
        rows.append([ratio.name, posekit, f"{yardstick}, {ratio.yardstick}", *cells])
    return text_table(rows)


def _cells(ratio: Ratio) -> list[str]:
    """Format medians of posekit and yardstick, median and quartiles of the ratios, the target, and whether the target is met."""
    cells = []
    for value in (np.median(ratio.values), np.median(ratio.yardstick_values)):
        cells.append(f"{value:,.4g} {ratio.unit}" if value < 1000 else f"{value:,.0f} {ratio.unit}")
    low, high = ratio.quartiles
    cells += [_format_ratio(ratio.median), f"{_format_ratio(low)} to {_format_ratio(high)}"]
    if ratio.target is None:
        return [*cells, "", ""]
    bound = "at least" if ratio.is_rate else "at most"
    ms = "" if ratio.target.ms is None else f" and {ratio.target.ms:g} ms"
    return [*cells, f"{bound} {ratio.target.ratio:g}{ms}", "met" if ratio.met else "missed"]


def _format_ratio(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


def write_json(path: str | Path, run: Mapping, ratios: Sequence[Ratio]) -> None:
    """Write a run and its ratios to a JSON file."""
    text = json.dumps({**run, "figures": [ratio.to_dict() for ratio in ratios]}, indent=2)
    with atomic_write(path) as unfinished:
        unfinished.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> EarlierRun:
    """Load a file written by `write_json`; raise `DataError` for any other file."""
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); choose a file written by --json") from error
    except ValueError as error:
        raise DataError(f"{path}: not a JSON file, or damaged ({error}); choose a file written by --json") from error
    try:
        if content["format"] != _FORMAT:
            raise ValueError(content["format"])
        run = {"date": str(content["date"]), **{name: dict(content[name]) for name in _CONDITIONS}}
        ratios = {}
        for figure in content["figures"]:
            values, yardstick_values = np.array([figure["ours"], figure["theirs"]], np.float64)
            ratio = Ratio(str(figure["name"]), figure["yardstick"], values, yardstick_values, figure["unit"])
            if not len(values) or not yardstick_values.min() > 0 or not 0 < ratio.median < math.inf:
                raise ValueError(figure["name"])
            ratios[ratio.name] = ratio
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: damaged, or not written by this version of the benchmark; choose a file written by --json"
        ) from error
    return EarlierRun(path, run, ratios)


def comparison(ratios: Sequence[Ratio], run: Mapping, earlier: EarlierRun) -> str:
    """Compare with an earlier run: list the conditions that differ, then show a table of the ratios."""
    lines = [f"compared with {earlier.path.name} of {earlier.run['date']}"]
    for key, description in _CONDITIONS.items():
        then = earlier.run[key]
        now = run[key]
        changes = []
        for name in {**then, **now}:
            if then.get(name) != now.get(name):
                before, after = ("none" if value is None else value for value in (then.get(name), now.get(name)))
                changes.append(f"{name} {before}, now {after}")
        if changes:
            lines.append(f"{earlier.path.name} was measured {description}: {'; '.join(changes)}")
    rows = [("figure", "ratio earlier", "ratio now", "change", "quartile ranges apart")]
    for ratio in ratios:
        rows.append(_compare(ratio, earlier.ratios.get(ratio.name)))
    return "\n".join([*lines, text_table(rows)])


def _compare(ratio: Ratio, earlier: Ratio | None) -> tuple[str, str, str, str, str]:
    now = _format_ratio(ratio.median)
    if earlier is None:
        return ratio.name, "-", now, "-", "not measured earlier"
    change = f"{100 * (ratio.median / earlier.median - 1):+.0f} %"
    low, high = ratio.quartiles
    earlier_low, earlier_high = earlier.quartiles
    if low <= earlier_high and earlier_low <= high:
        verdict = "no"
    else:
        verdict = "yes, better" if (ratio.median > earlier.median) == ratio.is_rate else "yes, worse"
    return ratio.name, _format_ratio(earlier.median), now, change, verdict
