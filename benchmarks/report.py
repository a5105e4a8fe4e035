"""Figures as lines, as a table and as JSON, and beside those of an earlier run."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.figure import Measurement
from posekit.errors import DataError
from posekit.files import atomic_write
from posekit.machine import describe_load, describe_machine, describe_software

_FORMAT = "posekit benchmark 1"
_MET = {True: "met", False: "missed"}


@dataclass(frozen=True)
class Past:
    """One figure of an earlier run: its ratio, and the quartiles of what that is the median of."""

    ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class Earlier:
    """An earlier run.

    Parameters
    ----------
    path : Path
    date : str
    about : mapping of str to mapping
        What was known of the machine, the software and the settings.
    figures : mapping of str to Past
    """

    path: Path
    date: str
    about: Mapping[str, Mapping]
    figures: Mapping[str, Past]


def describe_run(settings: Mapping) -> dict:
    """When, where, with what and on what figures are taken."""
    return {
        "format": _FORMAT,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "load": describe_load(),
        "machine": describe_machine(),
        "software": describe_software(),
        "settings": dict(settings),
    }


def headline(run: Mapping) -> str:
    """The run in one line."""
    machine, software = run["machine"], run["software"]
    versions = ", ".join(f"{name} {version}" for name, version in software.items() if version)
    gpu = machine["gpu"] or "no GPU"
    load = "" if run["load"] is None else f", load {run['load']}"
    return f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, {gpu}; {versions}; {run['date']}{load}"


def line(figure: Measurement) -> str:
    """One figure, told when it is found."""
    ours, theirs = (_amount(value, figure.unit) for value in figure.medians)
    target = f"; target {_target(figure)}: {_MET[figure.met]}" if figure.target else ""
    ratio = f"{_ratio(figure.ratio)} ({_spread(figure.quartiles)}{target})"
    facts = "".join(f"; {name} {value}" for name, value in figure.facts.items())
    return f"{figure.name}: {ours}, {figure.yardstick} {theirs}, ratio {ratio}{facts}"


def table(figures: Sequence[Measurement]) -> str:
    """All figures, aligned."""
    head = ("figure", "posekit", "yardstick", "ratio", "quartiles", "target", "")
    return _aligned([head, *map(_row, figures)])


def _row(figure: Measurement) -> tuple[str, ...]:
    ours, theirs = (_amount(value, figure.unit) for value in figure.medians)
    target, met = (_target(figure), _MET[figure.met]) if figure.target else ("", "")
    return figure.name, ours, f"{theirs}, {figure.yardstick}", _ratio(figure.ratio), _spread(figure.quartiles), target, met


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _amount(value: float, unit: str) -> str:
    return f"{value:,.4g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


def _spread(quartiles: tuple[float, float]) -> str:
    return " to ".join(map(_ratio, quartiles))


def _target(figure: Measurement) -> str:
    bound = "at least" if figure.is_rate else "at most"
    ms = "" if figure.target.ms is None else f" and {figure.target.ms:g} ms"
    return f"{bound} {figure.target.ratio:g}{ms}"


def write_json(path: str | Path, run: Mapping, figures: Sequence[Measurement]) -> None:
    """Write a run, for people's programs and for `read_json`."""
    with atomic_write(path) as unfinished:
        text = json.dumps({**run, "figures": [figure.to_dict() for figure in figures]}, indent=2)
        unfinished.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Earlier:
    """Read what `write_json` wrote.

    Raises
    ------
    DataError
        If the file cannot be read, or is something else.
    """
    path = Path(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); give a file that --json has written") from error
    except ValueError as error:
        raise DataError(f"{path}: no JSON, or a damaged file ({error}); give a file that --json has written") from error
    try:
        return _earlier(path, found)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: not a benchmark's figures; give a file that --json of this posekit has written") from error


def _earlier(path: Path, found: Mapping) -> Earlier:
    if found["format"] != _FORMAT:
        raise ValueError(found["format"])
    figures = {str(each["name"]): _past(each["ratio"], *each["quartiles"]) for each in found["figures"]}
    about = {name: dict(found[name]) for name in ("machine", "software", "settings")}
    return Earlier(path, str(found["date"]), about, figures)


def _past(ratio: float, low: float, high: float) -> Past:
    if not all(math.isfinite(value) and value >= 0 for value in (ratio, low, high)) or not ratio:
        raise ValueError("a ratio that is none")
    return Past(ratio, low, high)


def comparison(figures: Sequence[Measurement], run: Mapping, earlier: Earlier) -> str:
    """Then and now, figure by figure, and in lines above what besides posekit is another."""
    head = ("figure", "ratio then", "now", "change", "beyond both spreads")
    rows = [head, *(_compared(figure, earlier.figures.get(figure.name)) for figure in figures)]
    return "\n".join([f"against {earlier.path.name} of {earlier.date}", *_differences(run, earlier), _aligned(rows)])


def _differences(run: Mapping, earlier: Earlier) -> list[str]:
    lines = []
    for key, what in (("machine", "on another machine"), ("software", "with other software"), ("settings", "with other settings")):
        then, now = earlier.about[key], run[key]
        names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
        others = [f"{name} {_shown(then, name)}, now {_shown(now, name)}" for name in names]
        if others:
            lines.append(f"{earlier.path.name} was measured {what}: {'; '.join(others)}")
    return lines


def _shown(about: Mapping, name: str) -> str:
    return "none" if about.get(name) is None else str(about[name])


def _compared(figure: Measurement, past: Past | None) -> tuple[str, ...]:
    if past is None:
        return figure.name, "-", _ratio(figure.ratio), "-", "not measured then"
    change = f"{100 * (figure.ratio / past.ratio - 1):+.0f} %"
    return figure.name, _ratio(past.ratio), _ratio(figure.ratio), change, _verdict(figure, past)


def _verdict(figure: Measurement, past: Past) -> str:
    low, high = figure.quartiles
    if low <= past.high and past.low <= high:
        return "no"
    return "yes, better" if (figure.ratio > past.ratio) == figure.is_rate else "yes, worse"
