"""The report's tables: text, ready for the page."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from posekit.metrics import KINDS, Diagnosis, DoubleCounting
from posekit.scoring.compare import PairedComparison
from posekit.scoring.directions import by_direction, limb_joints
from posekit.scoring.score import Scores

# Of `DoubleCounting`, and what the columns call them.
_UNDER_PEAKS = {
    "top_right": "highest right, %",
    "only_other_right": "only another right, %",
    "other_opposite": "another on the opposite joint, %",
}


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, and what stands below it in small print."""

    text: str
    small: str = ""


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows.

    Parameters
    ----------
    caption : str
    head : tuple of str
        Names of the columns, that of the first included.
    rows : list of tuple of Cell
    prose : bool
        Whether the cells hold sentences, not numbers.
    """

    caption: str
    head: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    prose: bool = False

    @classmethod
    def of(cls, caption: str, head: Iterable[str], rows: Iterable[Iterable[Cell | str]], *, prose: bool = False) -> "Table":
        """A table whose cells may be plain text."""
        cells = [tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row) for row in rows]
        return cls(caption, tuple(head), cells, prose)


def totals(scores: Scores) -> Table:
    """The means and the AUC, with their intervals and what they are."""
    counts, thresholds = scores.pck.counts[list(scores.mean_joints)], scores.pck.auc_thresholds
    pooled = f"{scores.metric}, correct among {counts.sum():,} joints together"
    plain = f"{scores.metric}, plain mean over {(counts > 0).sum()} kinds of joint"
    area = f"pooled mean averaged over the thresholds {thresholds[0]:.2f} to {thresholds[-1]:.2f}"
    values = {
        "Pooled mean": (scores.pooled_mean, scores.interval95, pooled),
        "Plain mean": (scores.joint_mean, scores.joint_mean_interval95, plain),
        "AUC": (scores.auc, scores.auc_interval95, area),
    }
    rows = ((Cell(name, what), number(value), interval(ends)) for name, (value, ends, what) in values.items())
    return Table.of("Totals", ("", "percent", "95 % interval"), rows)


def groups(scores: Scores) -> Table:
    """A column for each group, and the pooled mean."""
    indices = scores.people.skeleton.group_indices
    cells = [_with_interval(scores.groups[name], scores.pck.joint_mean_interval95(joints)) for name, joints in indices.items()]
    mean = _with_interval(scores.pooled_mean, scores.interval95)
    caption = f"{scores.metric} of the groups (plain mean of the group's joints) and the pooled mean, percent"
    return Table.of(caption, ("", *indices, "Mean"), [(scores.metric, *cells, mean)])


def joints(scores: Scores) -> Table:
    """A row for each joint."""
    pck, apart = scores.pck, set(range(len(scores.people.skeleton))) - set(scores.mean_joints)
    with_scores = bool(np.isfinite(scores.predictions.scores).any())
    rows = []
    for i, joint in enumerate(scores.people.skeleton.joints):
        errors = pck.errors[pck.counted[:, i], i]
        row = [
            Cell(spoken(joint), "not in the means" if i in apart else ""),
            number(pck.percent[i]),
            interval(pck.interval95([i])),
            number(pck.auc([i])),
            f"{pck.counts[i]:,}",
            f"{pck.counts[i] - pck.correct[:, i].sum():,}",
            number(_median(errors), 3),
        ]
        seen = scores.predictions.scores[pck.counted[:, i], i]
        rows.append([*row, number(_mean(seen), 3)] if with_scores else row)
    head = ["joint", f"{scores.metric}, percent", "95 % interval", "AUC, percent", "counted", "wrong", "median error", "mean score"]
    caption = f"Joints; errors in units of the {scores.reference}"
    return Table.of(caption, head if with_scores else head[:-1], rows)


def directions(scores: Scores) -> Table:
    """A row for each direction that somebody's torso has, and one for everybody."""
    found = {name: row for name, row in by_direction(scores).items() if row.persons}
    rows = [(name, f"{row.persons:,}", number(row.percent), interval(row.interval95)) for name, row in found.items()]
    caption = f"The {len(limb_joints(scores))} limb joints, pooled, by the direction of the true torso"
    return Table.of(caption, ("torso", "persons", f"{scores.metric}, percent", "95 % interval"), rows)


def diagnosis(scores: Scores, found: Diagnosis) -> Table:
    """A row for each joint with the shares of the kinds of error, and below what repairing each kind would gain."""
    joints = scores.people.skeleton.joints
    rows = [(spoken(joint), *map(number, shares)) for joint, shares in zip(joints, found.percent, strict=True)]
    cost = found.cost(scores.mean_joints)
    channel_gains = (number(cost[kind], sign=True) for kind in KINDS[1:])
    rows.append((Cell("Gain if repaired", "points of the pooled mean"), "", *channel_gains))
    return Table.of("Kinds of error, percent of the counted joints", ("joint", *KINDS), rows)


def double_counting(scores: Scores, found: DoubleCounting) -> Table:
    """A row for each joint, and one for all of the means' together."""
    rows = {spoken(joint): [i] for i, joint in enumerate(scores.people.skeleton.joints)}
    rows["All in the means"] = list(scores.mean_joints)
    cells = (
        (
            name,
            f"{found.maps[joints].sum():,}",
            f"{found.counts('double')[joints].sum():,}",
            number(found.total("double", joints)),
            *(number(found.total(finding, joints)) for finding in _UNDER_PEAKS),
        )
        for name, joints in rows.items()
    )
    head = ("joint", "maps", "with several peaks", "several peaks, %", *_UNDER_PEAKS.values())
    return Table.of("Maps with several peaks; the last three columns in percent of those maps", head, cells)


def comparison(found: PairedComparison, names: tuple[str, str]) -> Table:
    """A row for each group and one for the mean: both models, and their paired difference."""
    indices = {**found.first.people.skeleton.group_indices, "Mean": found.first.mean_joints}
    rows = []
    for (group, members), difference in zip(indices.items(), (*found.groups.values(), found.total), strict=True):
        both = (number(scores.pck.pooled_mean(members)) for scores in (found.first, found.second))
        ends = interval((difference.low, difference.high), sign=True)
        verdict = "" if difference.decided else "undecided: the interval includes 0"
        rows.append((group, *both, Cell(number(difference.difference, sign=True), verdict), ends))
    head = ("", *names, "difference", "95 % interval of the difference")
    return Table.of(f"{found.first.metric}, pooled over the groups' joints, percent; A minus B in percentage points", head, rows)


def person(scores: Scores, index: int, kinds: Diagnosis, doubles: DoubleCounting | None) -> Table:
    """A row for each joint of one person that counts."""
    pck, seen = scores.pck, scores.predictions.scores[index]
    with_scores = bool(np.isfinite(seen).any())
    rows = []
    for i in np.flatnonzero(pck.counted[index]):
        kind = KINDS[kinds.kind_NK[index, i]]
        verdict = Cell("right" if pck.correct[index, i] else f"wrong: {kind}", peaks_verdict(doubles, index, i) if doubles else "")
        row = [spoken(scores.people.skeleton.joints[i]), _error(pck.errors[index, i]), verdict]
        rows.append([*row, number(seen[i], 3)] if with_scores else row)
    head = ["joint", "error", "verdict", *(["score"] if with_scores else [])]
    return Table.of(f"Joints that count; errors in {unit(scores)}s", head, rows)


def peaks_verdict(doubles: DoubleCounting, index: int, joint: int) -> str:
    """What lies under the peaks of one map; "" if it has only one."""
    if not doubles.double[index, joint]:
        return ""
    if doubles.top_right[index, joint]:
        verdict = "several peaks, the highest is right"
    else:
        verdict = f"several peaks, {'another' if doubles.other_right[index, joint] else 'none'} is right"
    return f"{verdict}, one is on the opposite joint" if doubles.other_opposite[index, joint] else verdict


def conventions(rows: Sequence[Mapping]) -> Table:
    """The same predictions under each convention (see `posekit.scoring.protocols.conventions`)."""
    cells = ((Cell(row["name"], row["used_by"]), number(row["percent"])) for row in rows)
    return Table.of("The same predictions under each convention, and who uses it", ("convention", "percent"), cells)


def facts(caption: str, details: Mapping) -> Table:
    """Names and values; names of what is nested are joined by dots."""
    return Table.of(caption, ("", ""), _flattened(details), prose=True)


def _flattened(details: Mapping, path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in details.items():
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", _plainly(value)


def number(value: float | None, places: int = 2, *, sign: bool = False) -> str:
    """Fixed places; a dash where there is nothing."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:{'+' if sign else ''}.{places}f}".replace("-", "−")


def interval(ends: tuple[float, float], *, sign: bool = False) -> str:
    """Its two ends; a dash where there is nothing."""
    return " to ".join(number(end, sign=sign) for end in ends) if all(map(math.isfinite, ends)) else "–"


def spoken(joint: str) -> str:
    """A joint's name with spaces."""
    return joint.replace("_", " ")


def unit(scores: Scores) -> str:
    """ "head size" or "torso size", without its definition."""
    return scores.reference.partition(" (")[0]


def _with_interval(value: float, ends: tuple[float, float]) -> Cell:
    return Cell(number(value), interval(ends) if math.isfinite(value) else "")


def _error(value: float) -> str:
    return "not predicted" if math.isinf(value) else number(value, 3)


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else math.nan


def _mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else math.nan


def _plainly(value) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_plainly, value)) or "none"
    if value is None or value == {}:
        return "none"
    return str(value)
