"""Analyse errors by kind, by torso direction and by double counting: tables, figures and CSV files."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from posekit.files import atomic_write
from posekit.metrics import KINDS, Diagnosis, DoubleCounting
from posekit.scoring.directions import by_direction, directions_table
from posekit.scoring.score import Scores

_FINDINGS = ("double", "top_right", "only_other_right", "other_opposite")
_DIAGNOSIS_COLUMNS = ("kind", "error in reference sizes")
_DOUBLE_COLUMNS = ("highest peak right", "truth under another", "another on the opposite joint")


def diagnosis_shares(
    scores: Scores, diagnosis: Diagnosis, groups: Mapping[str, Sequence[int]] | None = None
) -> dict[str, list[float]]:
    """Return the percentages of good, jitter, inversion and miss for each joint group and for all joints of the mean ("All").

    `groups` are joint indices by group name; default: the skeleton's groups.
    """
    shares = {}
    for name, joints in _with_all(scores, groups).items():
        counts = diagnosis.counts[list(joints)].sum(0)
        shares[name] = (100 * counts / counts.sum()).tolist() if counts.any() else [float("nan")] * len(KINDS)
    return shares


def double_shares(
    scores: Scores, double: DoubleCounting, groups: Mapping[str, Sequence[int]] | None = None
) -> dict[str, list[float]]:
    """Return four percentages for each joint group and for all joints of the mean ("All").

    The first is the percentage of heatmaps that are double (have several peaks). The others are percentages of the double
    heatmaps: the highest peak is correct, only another peak is correct, another peak is on the opposite joint.
    `groups` are joint indices by group name; default: the skeleton's groups.
    """
    shares = {}
    for name, joints in _with_all(scores, groups).items():
        shares[name] = [double.total(finding, joints) for finding in _FINDINGS]
    return shares


def _with_all(scores: Scores, groups: Mapping[str, Sequence[int]] | None) -> dict[str, Sequence[int]]:
    return {**(scores.people.skeleton.group_indices if groups is None else groups), "All": scores.mean_joints}


def analysis_numbers(scores: Scores) -> dict:
    """Return all analyses for ``metrics.json``.

    Percentages per joint group, counts per joint, the PCK points that each kind of error costs, the number of people with left and
    right swapped, and the limb scores by torso direction.
    """
    diagnosis = scores.diagnosis
    double = scores.double_counting
    joints = scores.people.skeleton.joints
    numbers = {
        "diagnosis": _named_rows(diagnosis_shares(scores, diagnosis), KINDS),
        "diagnosis_counts": _named_rows(dict(zip(joints, diagnosis.counts.tolist(), strict=True)), KINDS),
        "points_if_repaired": diagnosis.cost(scores.mean_joints),
        "persons_mirrored": diagnosis.n_mirrored,
        "limbs_by_torso": {name: asdict(direction) for name, direction in by_direction(scores).items()},
    }
    if double is not None:
        counts = np.stack([double.maps, *(double.counts(finding) for finding in _FINDINGS)], axis=1).tolist()
        numbers["double_counting"] = _named_rows(double_shares(scores, double), _FINDINGS)
        numbers["double_counting_counts"] = _named_rows(dict(zip(joints, counts, strict=True)), ("maps", *_FINDINGS))
    return numbers


def _named_rows(rows: Mapping[str, list], columns: Sequence[str]) -> dict[str, dict]:
    return {name: dict(zip(columns, row, strict=True)) for name, row in rows.items()}


def analysis_tables(models: Mapping[str, Scores]) -> str:
    """Return the tables for the terminal: all analyses of each model."""
    tables = []
    for name, scores in models.items():
        tables += [
            f"{name}: {_diagnosis_table(scores)}",
            f"{name}: {directions_table(scores)}",
            f"{name}: {_double_table(scores)}",
        ]
    return "\n\n".join(tables)


def _diagnosis_table(scores: Scores) -> str:
    diagnosis = scores.diagnosis
    threshold = scores.pck.threshold
    unit = scores.reference.partition(" (")[0]
    cost = ", ".join(f"{kind} {points:.2f}" for kind, points in diagnosis.cost(scores.mean_joints).items())
    lines = [
        f"kinds of error in percent of the evaluated joints (distances in {unit}s: good within {threshold:g} of the truth;",
        f"inversion within {threshold:g} of the opposite joint; jitter within {2 * threshold:g} of the truth; otherwise miss)",
        "",
        *_joint_lines(("joints", *KINDS), diagnosis.counts.sum(1), diagnosis_shares(scores, diagnosis, _single_joints(scores))),
        f"percentage points that the pooled mean would gain without these errors: {cost}",
        f"people who would score higher with left and right swapped: {diagnosis.n_mirrored:,} of {scores.n_persons:,}",
    ]
    return "\n".join(lines)


def _double_table(scores: Scores) -> str:
    double = scores.double_counting
    if double is None:
        return "double counting needs the heatmaps' peaks, which the prediction file lacks; evaluate the model with --weights"
    columns = ("maps", "double", "top right", "only other", "on opposite")
    lines = [
        f"double counting in percent (another peak at least half as high and {scores.pck.threshold:g} reference sizes away)",
        "",
        *_joint_lines(columns, double.maps, double_shares(scores, double, _single_joints(scores))),
        "maps: number of heatmaps; double: percentage of all heatmaps; the other columns are percentages of the double heatmaps:",
        "the highest peak is correct; only another peak is correct; another peak is on the same person's opposite joint",
    ]
    return "\n".join(lines)


def _single_joints(scores: Scores) -> dict[str, tuple[int]]:
    return {joint: (i,) for i, joint in enumerate(scores.people.skeleton.joints)}


def _joint_lines(columns: Sequence[str], counts_K: np.ndarray, shares: Mapping[str, Sequence[float]]) -> list[str]:
    """Format one line per joint, including the joint's count, and a last line for all joints of the mean."""
    width = max(map(len, shares)) + 1
    lines = [" " * width + "".join(f"{column:>13}" for column in columns)]
    counts = [f"{count:,}" for count in counts_K]
    for (name, row), count in zip(shares.items(), [*counts, ""], strict=True):
        cells = [f"{value:.1f}" if np.isfinite(value) else "-" for value in row]
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>13}" for cell in (count, *cells)))
    return lines


def write_analysis(folder: str | Path, models: Mapping[str, Scores]) -> list[Path]:
    """Write the error diagnosis and the double counting analysis of one or several models.

    ``diagnosis.csv`` lists every evaluated joint that is not good, and ``double_counting.csv`` every heatmap with several peaks,
    with the person's index and image. ``diagnosis.png`` and ``double_counting.png`` show the percentages of all models side by
    side. The ``double_counting`` files are written only if the predictions of a model contain peaks.

    Parameters
    ----------
    folder : str or Path
        Output folder.
    models : mapping of str to Scores
        Scores by model name, as shown in the figures.

    Returns
    -------
    list of Path : the files written.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    from posekit.drawing.curves import diagnosis_bars, double_counting_bars

    folder = Path(folder)
    rows: list[tuple] = []
    shares: dict[str, Mapping[str, Sequence[float]]] = {}
    double_rows: list[tuple] = []
    double_counting_shares: dict[str, Mapping[str, Sequence[float]]] = {}
    for name, scores in models.items():
        rows += _diagnosis_rows(name, scores)
        shares[name] = diagnosis_shares(scores, scores.diagnosis)
        if scores.double_counting is not None:
            double_rows += _double_rows(name, scores, scores.double_counting)
            double_counting_shares[name] = double_shares(scores, scores.double_counting)
    paths = [
        _write_csv(folder / "diagnosis.csv", _DIAGNOSIS_COLUMNS, rows),
        _write_figure(folder / "diagnosis.png", diagnosis_bars(shares)),
    ]
    if double_counting_shares:
        paths += [
            _write_csv(folder / "double_counting.csv", _DOUBLE_COLUMNS, double_rows),
            _write_figure(folder / "double_counting.png", double_counting_bars(double_counting_shares)),
        ]
    return paths


def _diagnosis_rows(name: str, scores: Scores) -> list[tuple]:
    rows = []
    kinds = scores.diagnosis.kind_NK
    for person, joint in np.argwhere(kinds > KINDS.index("good")).tolist():
        error = scores.pck.errors[person, joint]
        rows.append((*_joint_cells(name, scores, person, joint), KINDS[kinds[person, joint]], f"{error:.4f}"))
    return rows


def _double_rows(name: str, scores: Scores, double: DoubleCounting) -> list[tuple]:
    rows = []
    for person, joint in np.argwhere(double.double).tolist():
        masks = (double.top_right, double.other_right, double.other_opposite)
        rows.append((*_joint_cells(name, scores, person, joint), *(int(mask[person, joint]) for mask in masks)))
    return rows


def _joint_cells(name: str, scores: Scores, person: int, joint: int) -> tuple:
    return name, person, Path(scores.people.image_paths[person]).name, scores.people.skeleton.joints[joint]


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[tuple]) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("model", "person", "photograph", "joint", *columns))
    writer.writerows(rows)
    with atomic_write(path) as unfinished:
        unfinished.write_text(text.getvalue(), encoding="utf-8")
    return path


def _write_figure(path: Path, figure) -> Path:
    with atomic_write(path) as unfinished:
        figure.savefig(unfinished, dpi=200)
    return path
