"""Tables of the report."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from posekit.metrics import KINDS
from posekit.scoring.analysis import by_direction, limb_joints
from posekit.scoring.compare import PairedComparison
from posekit.scoring.score import Scores

# Attributes of `DoubleCounting`, with the column titles of the table.
_PEAK_COLUMNS = {
    "top_right": "highest peak correct, %",
    "only_other_right": "only another peak correct, %",
    "other_opposite": "another peak on the opposite joint, %",
}


@dataclass(frozen=True)
class Cell:
    """Text of a table cell, and an optional note in small print below the text."""

    text: str
    small: str = ""


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows.

    Parameters
    ----------
    caption : str
    head : sequence of str
        Titles of all columns, including the first.
    rows : sequence of sequences of Cell or str
    prose : bool
        Whether the cells hold text rather than numbers.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell | str]]
    prose: bool = False


def totals(scores: Scores) -> Table:
    """Return the table of the pooled mean, plain mean and AUC, with definitions and confidence intervals."""
    counts = scores.pck.counts[list(scores.mean_joints)]
    thresholds = scores.pck.auc_thresholds
    pooled = f"{scores.metric}: share of correct joints among {counts.sum():,} evaluated joints of all people"
    plain = f"{scores.metric} of each joint, averaged over {(counts > 0).sum()} joints"
    area = f"area under the curve: pooled mean, averaged over the thresholds {thresholds[0]:.2f} to {thresholds[-1]:.2f}"
    rows = [
        (Cell("Pooled mean", pooled), number(scores.pooled_mean), interval(scores.interval95)),
        (Cell("Plain mean", plain), number(scores.joint_mean), interval(scores.joint_mean_interval95)),
        (Cell("AUC", area), number(scores.auc), interval(scores.auc_interval95)),
    ]
    return Table("Totals", ("", "percent", "95 % interval"), rows)


def groups(scores: Scores) -> Table:
    """Return the table of the joint groups: one column per group, and one for the pooled mean."""
    indices = scores.people.skeleton.group_indices
    columns = [(scores.groups[name], scores.pck.joint_mean_interval95(joints)) for name, joints in indices.items()]
    row: list[Cell | str] = [scores.metric]
    for value, ends in (*columns, (scores.pooled_mean, scores.interval95)):
        row.append(Cell(number(value), interval(ends) if math.isfinite(value) else ""))
    caption = f"{scores.metric} in percent: plain mean over the joints of each group, and pooled mean"
    return Table(caption, ("", *indices, "Mean"), [row])


def joints(scores: Scores) -> Table:
    """Return the table of the joints, one row per joint."""
    pck = scores.pck
    with_scores = bool(np.isfinite(scores.predictions.scores).any())
    head = ["joint", f"{scores.metric}, percent", "95 % interval", "AUC, percent", "evaluated", "wrong", "median error"]
    if with_scores:
        head.append("mean score")
    rows = []
    for i, joint in enumerate(scores.people.skeleton.joints):
        counted = pck.counted[:, i]
        errors = pck.errors[counted, i]
        row: list[Cell | str] = [
            Cell(spaced(joint), "" if i in scores.mean_joints else "not in the means"),
            number(pck.percent[i]),
            interval(pck.interval95([i])),
            number(pck.auc([i])),
            f"{pck.counts[i]:,}",
            f"{pck.counts[i] - pck.correct[:, i].sum():,}",
            number(np.median(errors) if len(errors) else math.nan, 3),
        ]
        if with_scores:
            values = scores.predictions.scores[counted, i]
            values = values[np.isfinite(values)]
            row.append(number(values.mean() if len(values) else math.nan, 3))
        rows.append(row)
    return Table(f"Scores of each joint; unit of errors: {scores.reference}", head, rows)


def directions(scores: Scores) -> Table:
    """Return the table of torso directions: one row per direction that occurs, and one for all people."""
    rows = []
    for name, score in by_direction(scores).items():
        if score.persons:
            rows.append((name, f"{score.persons:,}", number(score.percent), interval(score.interval95)))
    caption = f"Score of the {len(limb_joints(scores))} limb joints, pooled, by the direction of the person's torso"
    return Table(caption, ("torso", "people", f"{scores.metric}, percent", "95 % interval"), rows)


def diagnosis(scores: Scores) -> Table:
    """Return the table of the kinds of error: shares per joint, and what the pooled mean would gain if each kind were repaired."""
    kinds = scores.diagnosis
    rows: list[Sequence[Cell | str]] = []
    for joint, shares in zip(scores.people.skeleton.joints, kinds.percent, strict=True):
        rows.append((spaced(joint), *map(number, shares)))
    cost = kinds.cost(scores.mean_joints)
    gains = [number(cost[kind], sign=True) for kind in KINDS[1:]]
    rows.append((Cell("Gain if repaired", "percentage points that the pooled mean would gain"), "", *gains))
    return Table("Kinds of error, in percent of the evaluated joints", ("joint", *KINDS), rows)


def double_counting(scores: Scores) -> Table:
    """Return the table of heatmaps with several peaks: one row per joint, and one for all joints of the means."""
    double = scores.double_counting
    assert double is not None  # otherwise the page does not show the table
    indices = {spaced(joint): [i] for i, joint in enumerate(scores.people.skeleton.joints)}
    indices["All in the means"] = list(scores.mean_joints)
    rows = []
    for name, joints in indices.items():
        maps = f"{double.maps[joints].sum():,}"
        several = f"{double.counts('double')[joints].sum():,}"
        shares = [number(double.total(column, joints)) for column in ("double", *_PEAK_COLUMNS)]
        rows.append((name, maps, several, *shares))
    head = ("joint", "heatmaps", "with several peaks", "with several peaks, %", *_PEAK_COLUMNS.values())
    caption = "Heatmaps with several peaks; the last three columns are in percent of the heatmaps with several peaks"
    return Table(caption, head, rows)


def comparison(paired: PairedComparison, names: tuple[str, str]) -> Table:
    """Return the table that compares two models: per joint group and for the mean, both scores and the paired difference."""
    indices = {**paired.first.people.skeleton.group_indices, "Mean": paired.first.mean_joints}
    differences = {**paired.groups, "Mean": paired.total}
    rows: list[Sequence[Cell | str]] = []
    for group, joints in indices.items():
        difference = differences[group]
        means = [number(scores.pck.pooled_mean(joints)) for scores in (paired.first, paired.second)]
        note = "" if difference.decided else "undecided: the interval includes 0"
        cell = Cell(number(difference.difference, sign=True), note)
        rows.append((group, *means, cell, interval((difference.low, difference.high), sign=True)))
    metric = paired.first.metric
    caption = f"{metric} in percent, pooled over the joints of each group; difference: A minus B, in percentage points"
    return Table(caption, ("", *names, "difference", "95 % interval of the difference"), rows)


def person(scores: Scores, index: int) -> Table:
    """Return the table of one person: one row per evaluated joint."""
    pck = scores.pck
    confidences = scores.predictions.scores[index]
    with_scores = bool(np.isfinite(confidences).any())
    head = ["joint", "error", "result"]
    if with_scores:
        head.append("score")
    rows = []
    for i in np.flatnonzero(pck.counted[index]).tolist():
        error = pck.errors[index, i]
        result = "correct" if pck.correct[index, i] else f"wrong: {KINDS[scores.diagnosis.kind_NK[index, i]]}"
        row: list[Cell | str] = [
            spaced(scores.people.skeleton.joints[i]),
            "not predicted" if math.isinf(error) else number(error, 3),
            Cell(result, describe_peaks(scores, index, i)),
        ]
        if with_scores:
            row.append(number(confidences[i], 3))
        rows.append(row)
    return Table(f"Evaluated joints; errors in {unit(scores)}s", head, rows)


def describe_peaks(scores: Scores, index: int, joint: int) -> str:
    """Describe the peaks of one heatmap in words; return "" for a single peak or if peaks are not stored."""
    double = scores.double_counting
    if double is None or not double.double[index, joint]:
        return ""
    if double.top_right[index, joint]:
        correct = "the highest peak"
    elif double.other_right[index, joint]:
        correct = "another peak"
    else:
        correct = "no peak"
    text = f"several peaks, {correct} is correct"
    return f"{text}, one peak is on the opposite joint" if double.other_opposite[index, joint] else text


def conventions(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the table of the score under each evaluation convention, see `posekit.scoring.protocols.conventions`."""
    cells = [(Cell(row["name"], row["used_by"]), number(row["percent"])) for row in rows]
    caption = "Score of the same predictions under different evaluation conventions, and where each convention is used"
    return Table(caption, ("convention", "percent"), cells)


def facts(caption: str, details: Mapping[str, Any]) -> Table:
    """Return a table of names and values; nested names are joined by dots."""
    return Table(caption, ("", ""), list(_flatten(details)), prose=True)


def _flatten(details: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in details.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _to_text(value)


def _to_text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_to_text, value)) or "none"
    if value is None or value == {}:
        return "none"
    return str(value)


def number(value: float | None, places: int = 2, *, sign: bool = False) -> str:
    """Format a number with a fixed number of decimal places; a dash for None, NaN and infinity."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:{'+' if sign else ''}.{places}f}".replace("-", "−")


def interval(ends: tuple[float, float], *, sign: bool = False) -> str:
    """Format an interval as "low to high"; a dash if an end is not finite."""
    if not np.isfinite(ends).all():
        return "–"
    return " to ".join(number(end, sign=sign) for end in ends)


def spaced(joint: str) -> str:
    """Return a joint's name with spaces instead of underscores."""
    return joint.replace("_", " ")


def unit(scores: Scores) -> str:
    """Return the unit of errors, "head size" or "torso size", without its definition."""
    return scores.reference.partition(" (")[0]
