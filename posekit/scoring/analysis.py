"""Analyse scores: kinds of error, double counting, torso directions, and the calibration of heatmap peaks."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from posekit.files import atomic_write
from posekit.metrics import KINDS, DoubleCounting, interval95, reliability_bins
from posekit.metrics.bootstrap import in_percent
from posekit.metrics.calibration import Calibration, fit_calibration
from posekit.people import People
from posekit.scoring.score import Scores

_FINDINGS = ("double", "top_right", "only_other_right", "other_opposite")
# Limits of the direction bins: degrees between the vector from the hips to the shoulders and straight up.
_ENDS = (45.0, 90.0, 135.0)
DIRECTIONS = ("upright", "45 to 90°", "90 to 135°", "inverted")
EVERYBODY = "everybody"


def diagnosis_shares(scores: Scores, groups: Mapping[str, Sequence[int]] | None = None) -> dict[str, list[float]]:
    """Return the percentages of good, jitter, inversion and miss for each joint group, and for all joints of the mean ("All").

    `groups` contains joint indices by group name; default: the skeleton's groups.
    """
    shares = {}
    for name, joints in _with_all(scores, groups).items():
        counts = scores.diagnosis.counts[list(joints)].sum(0)
        shares[name] = (100 * counts / counts.sum()).tolist() if counts.any() else [float("nan")] * len(KINDS)
    return shares


def double_shares(
    scores: Scores, double: DoubleCounting, groups: Mapping[str, Sequence[int]] | None = None
) -> dict[str, list[float]]:
    """Return four percentages for each joint group, and for all joints in the mean ("All").

    The first is the percentage of all heatmaps that are double (have several peaks). The other three are percentages of the
    double heatmaps: the highest peak is correct; only a lower peak is correct; a lower peak is on the opposite joint.
    `groups` contains joint indices by group name; default: the skeleton's groups.
    """
    shares = {}
    for name, joints in _with_all(scores, groups).items():
        shares[name] = [double.total(finding, joints) for finding in _FINDINGS]
    return shares


def _with_all(scores: Scores, groups: Mapping[str, Sequence[int]] | None) -> dict[str, Sequence[int]]:
    return {**(scores.people.skeleton.group_indices if groups is None else groups), "All": scores.mean_joints}


def analysis_numbers(scores: Scores) -> dict:
    """Return all analyses for ``metrics.json``.

    Percentages per joint group, counts per joint, the percentage points of PCK that each kind of error costs, the number of people
    with left and right swapped, and the limb scores by torso direction.
    """
    diagnosis = scores.diagnosis
    double = scores.double_counting
    joints = scores.people.skeleton.joints
    numbers = {
        "diagnosis": _named_rows(diagnosis_shares(scores), KINDS),
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
        f"kinds of error, in percent of the evaluated joints (distances in {unit}s: good within {threshold:g} of the truth;",
        f"inversion within {threshold:g} of the opposite joint; jitter within {2 * threshold:g} of the truth; otherwise miss)",
        "",
        *_joint_lines(("joints", *KINDS), diagnosis.counts.sum(1), diagnosis_shares(scores, _single_joints(scores))),
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
        "double counting in percent (a heatmap is double if another peak is at least half as high as the highest peak and at least",
        f"{scores.pck.threshold:g} reference sizes away from the highest peak)",
        "",
        *_joint_lines(columns, double.maps, double_shares(scores, double, _single_joints(scores))),
        "maps: number of heatmaps; double: percentage of all heatmaps; the other columns are percentages of the double heatmaps:",
        "top right: the highest peak is correct; only other: only a lower peak is correct; on opposite: a lower peak is on the",
        "opposite joint of the same person",
    ]
    return "\n".join(lines)


def _single_joints(scores: Scores) -> dict[str, tuple[int]]:
    return {joint: (i,) for i, joint in enumerate(scores.people.skeleton.joints)}


def _joint_lines(columns: Sequence[str], counts_K: np.ndarray, shares: Mapping[str, Sequence[float]]) -> list[str]:
    """Format one line per joint, including the joint's count, and a last line for all joints in the mean."""
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
    from posekit.drawing.style import save_figure

    errors: list[tuple] = [("model", "person", "photograph", "joint", "kind", "error in reference sizes")]
    doubles: list[tuple] = [
        ("model", "person", "photograph", "joint", "highest peak right", "truth under another", "another on the opposite joint")
    ]
    error_shares = {}
    shares_of_doubles = {}
    for name, scores in models.items():
        errors += _diagnosis_rows(name, scores)
        error_shares[name] = diagnosis_shares(scores)
        if scores.double_counting is not None:
            doubles += _double_rows(name, scores, scores.double_counting)
            shares_of_doubles[name] = double_shares(scores, scores.double_counting)
    results = {"diagnosis": (errors, diagnosis_bars(error_shares))}
    if shares_of_doubles:
        results["double_counting"] = (doubles, double_counting_bars(shares_of_doubles))
    paths = []
    for name, (rows, figure) in results.items():
        table = Path(folder, f"{name}.csv")
        with atomic_write(table) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        chart = table.with_suffix(".png")
        save_figure(figure, chart)
        paths += [table, chart]
    return paths


def _diagnosis_rows(name: str, scores: Scores) -> Iterator[tuple]:
    kinds = scores.diagnosis.kind_NK
    for person, joint in np.argwhere(kinds > KINDS.index("good")).tolist():
        error = scores.pck.errors[person, joint]
        yield (*_joint_cells(name, scores, person, joint), KINDS[kinds[person, joint]], f"{error:.4f}")


def _double_rows(name: str, scores: Scores, double: DoubleCounting) -> Iterator[tuple]:
    masks = np.stack([double.top_right, double.other_right, double.other_opposite], axis=-1).astype(int)
    for person, joint in np.argwhere(double.double).tolist():
        yield (*_joint_cells(name, scores, person, joint), *masks[person, joint].tolist())


def _joint_cells(name: str, scores: Scores, person: int, joint: int) -> tuple:
    return name, person, Path(scores.people.image_paths[person]).name, scores.people.skeleton.joints[joint]


@dataclass(frozen=True)
class DirectionScore:
    """Score of the limb joints of people whose torso points in one direction.

    Parameters
    ----------
    persons : int
        Number of people scored.
    percent : float
        Percentage of correct limb joints among the evaluated ones; NaN if no limb joint is evaluated.
    interval95 : (float, float)
        95 % confidence interval of `percent`, by bootstrap over people.
    """

    persons: int
    percent: float
    interval95: tuple[float, float]


def torso_angles(people: People) -> np.ndarray:
    """(N,) float64 array: angle between straight up and the torso vector from hips to shoulders, 0 to 180 degrees.

    The torso vector runs from the midpoint of the hips to the midpoint of the shoulders; if only one joint of a pair is labelled,
    that joint replaces the midpoint. NaN if neither joint of a pair is labelled or the skeleton lacks one of the four joints.
    """
    if not {"left_shoulder", "right_shoulder", "left_hip", "right_hip"} <= set(people.skeleton.joints):
        return np.full(len(people), np.nan)
    torso = _middle(people, "shoulder") - _middle(people, "hip")
    return np.degrees(np.arctan2(np.abs(torso[:, 0]), -torso[:, 1]))


def _middle(people: People, name: str) -> np.ndarray:
    """(N, 2) float64 array: mean of the labelled joints among left and right; NaN where neither is labelled."""
    pair = [people.skeleton.index(f"left_{name}"), people.skeleton.index(f"right_{name}")]
    labelled = people.labelled[:, pair]
    total = np.where(labelled[..., None], people.joints[:, pair], 0.0).sum(1)
    count = labelled.sum(1)[:, None]
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def limb_joints(scores: Scores) -> list[int]:
    """Return the indices of the limb joints in the means: all groups except the head (shoulders to wrists, hips to ankles)."""
    groups = scores.people.skeleton.group_indices
    limbs = set().union(*(joints for name, joints in groups.items() if name != "Head"))
    return sorted(limbs & set(scores.mean_joints))


def by_direction(scores: Scores) -> dict[str, DirectionScore]:
    """Score the limb joints for each of `DIRECTIONS`, and for all people (`EVERYBODY`), even if their direction is unknown."""
    angles = torso_angles(scores.people)
    bins = np.where(np.isnan(angles), -1, np.searchsorted(_ENDS, angles, side="right"))
    masks = {name: bins == i for i, name in enumerate(DIRECTIONS)}
    masks[EVERYBODY] = np.ones(len(bins), bool)
    joints = limb_joints(scores)
    results = {}
    for name, mask in masks.items():
        scored = mask & ~scores.pck.left_out
        correct = scores.pck.correct[scored][:, joints].sum(1)
        counted = scores.pck.counted[scored][:, joints].sum(1)
        percent = float(in_percent(correct.sum(), counted.sum()))
        results[name] = DirectionScore(int(scored.sum()), percent, interval95(correct, counted))
    return results


def directions_table(scores: Scores) -> str:
    """Return the table for the terminal: one line per direction that occurs, and one for all people."""
    lines = [
        f"{scores.metric} in percent, pooled over the {len(limb_joints(scores))} limb joints, by direction of the true torso",
        "",
    ]
    for name, direction in by_direction(scores).items():
        if direction.persons:
            low, high = direction.interval95
            people = f"{name:<12}{direction.persons:>8,} people"
            lines.append(f"{people}{direction.percent:>9.2f}   95 % interval {low:.2f} to {high:.2f}")
    return "\n".join(lines)


def calibrate(scores: Scores) -> tuple[Calibration, float]:
    """Learn to convert the height of a joint's peak to the probability that the joint is within the metric's threshold.

    Parameters
    ----------
    scores : Scores
        Scores of predictions that contain peaks (`posekit.prediction.Predictor.predict_people`), for people who are not in the
        training set.

    Returns
    -------
    calibration : Calibration
        Calibration learned from all people, with the joints in the order of the people's skeleton.
    error : float
        Expected calibration error by two-fold cross-validation over the people.

    Raises
    ------
    ValueError
        If the predictions have no peaks, or no joint is evaluated.
    """
    if scores.predictions.heights is None:
        raise ValueError("scores: expected predictions that contain the heatmaps' peaks (peaks and heights), got none")
    peaks = scores.predictions.heights[:, :, 0]
    correct = scores.pck.correct
    counted = scores.pck.counted
    groups = [*scores.people.skeleton.group_indices.values(), range(len(scores.people.skeleton))]
    even = np.arange(len(peaks)) % 2 == 0
    probabilities = np.empty_like(peaks)
    for test, train in ((even, ~even), (~even, even)):
        probabilities[test] = fit_calibration(peaks[train], correct[train], counted[train], groups)(peaks[test])
    error = reliability_bins(probabilities[counted], correct[counted]).calibration_error
    return fit_calibration(peaks, correct, counted, groups), error
