"""Where the errors come from: diagnosis, torsos' directions and double counting, as tables, pictures and lists of persons."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from posekit.files import atomic_write
from posekit.metrics import KINDS, Diagnosis, DoubleCounting
from posekit.scoring.directions import by_direction, directions_table
from posekit.scoring.score import Scores

_DOUBLE_FACTS = ("double", "top_right", "only_other_right", "other_opposite")
_DIAGNOSIS_COLUMNS = ("model", "person", "photograph", "joint", "kind", "error in reference sizes")
_DOUBLE_COLUMNS = (
    "model",
    "person",
    "photograph",
    "joint",
    "highest peak right",
    "truth under another",
    "another on the opposite joint",
)


def diagnosis_shares(scores: Scores, found: Diagnosis, groups: Mapping[str, Sequence[int]] | None = None) -> dict[str, np.ndarray]:
    """Percent good, jitter, inversion, miss: of groups of joints (the skeleton's, by default) and of all joints of the mean."""
    counts = {name: found.counts[list(joints)].sum(0) for name, joints in _with_all(scores, groups).items()}
    return {name: 100 * count / count.sum() if count.sum() else np.full(len(KINDS), np.nan) for name, count in counts.items()}


def double_shares(
    scores: Scores, found: DoubleCounting, groups: Mapping[str, Sequence[int]] | None = None
) -> dict[str, list[float]]:
    """Percent of maps with several peaks, of groups of joints (the skeleton's, by default) and of all joints of the mean.

    And among those: for how many the highest peak is right, the truth lies under another peak alone, and another peak lies
    on the opposite joint.
    """
    return {name: [found.total(fact, joints) for fact in _DOUBLE_FACTS] for name, joints in _with_all(scores, groups).items()}


def analysis_numbers(scores: Scores) -> dict:
    """All analyses for ``metrics.json``: percent of each group and of all, PCK points, how many of each joint; torsos."""
    found, double = scores.diagnosis, scores.double_counting
    joints = scores.people.skeleton.joints
    numbers = {
        "diagnosis": {name: _named(KINDS, row) for name, row in diagnosis_shares(scores, found).items()},
        "diagnosis_counts": {joint: _named(KINDS, row) for joint, row in zip(joints, found.counts, strict=True)},
        "points_if_repaired": found.cost(scores.mean_joints),
        "persons_mirrored": found.n_mirrored,
        "limbs_by_torso": {name: asdict(row) for name, row in by_direction(scores).items()},
    }
    if double is not None:
        counts = np.stack([double.maps, *(double.counts(fact) for fact in _DOUBLE_FACTS)], axis=1)
        numbers |= {
            "double_counting": {name: _named(_DOUBLE_FACTS, row) for name, row in double_shares(scores, double).items()},
            "double_counting_counts": {j: _named(("maps", *_DOUBLE_FACTS), row) for j, row in zip(joints, counts, strict=True)},
        }
    return numbers


def _named(names: Sequence[str], values: Sequence[float]) -> dict:
    return dict(zip(names, np.asarray(values).tolist(), strict=True))


def analysis_tables(models: Mapping[str, Scores]) -> str:
    """Text for the screen: all analyses of each model."""
    return "\n\n".join(table for name, scores in models.items() for table in _tables(name, scores))


def _tables(name: str, scores: Scores) -> Iterator[str]:
    found, double = scores.diagnosis, scores.double_counting
    joints = {joint: (i,) for i, joint in enumerate(scores.people.skeleton.joints)}
    threshold, unit = f"{scores.pck.threshold:g}", scores.reference.partition(" (")[0]
    cost = ", ".join(f"{kind} {points:.2f}" for kind, points in found.cost(scores.mean_joints).items())
    yield "\n".join(
        [
            f"{name}: kinds of error in percent of the joints (good within {threshold}; inversion within {threshold} of the",
            f"opposite joint; jitter within {2 * scores.pck.threshold:g} of the truth, in {unit}s; else miss)",
            "",
            *_rows(("joints", *KINDS), found.counts.sum(1), diagnosis_shares(scores, found, joints)),
            f"points of the pooled mean if repaired: {cost}",
            f"persons who would be better with left and right exchanged: {found.n_mirrored:,} of {scores.n_persons:,}",
        ]
    )
    yield f"{name}: {directions_table(scores)}"
    if double is None:
        yield f"{name}: double counting needs the heatmaps' peaks, which this file lacks; score the model with --weights"
        return
    yield "\n".join(
        [
            f"{name}: double counting (another peak, {threshold} or more away and at least half as high), in percent",
            "",
            *_rows(
                ("maps", "double", "top right", "only other", "on opposite"), double.maps, double_shares(scores, double, joints)
            ),
            "double: of all maps; the others are shares of the double ones: the highest peak is right; the truth lies under",
            "another peak alone; another peak lies on the same person's opposite joint",
        ]
    )


def _rows(columns: Sequence[str], counts: np.ndarray, shares: Mapping[str, Sequence[float]]) -> list[str]:
    """A line for each joint, and one for all of the means'; `counts` are the joints'."""
    width = max(map(len, shares)) + 1
    lines = [" " * width + "".join(f"{column:>13}" for column in columns)]
    for (name, row), count in zip(shares.items(), [*counts.tolist(), None], strict=True):
        cells = ["" if count is None else f"{count:,}", *map(_one, row)]
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>13}" for cell in cells))
    return lines


def _one(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else "-"


def _with_all(scores: Scores, groups: Mapping[str, Sequence[int]] | None) -> dict[str, Sequence[int]]:
    return {**(scores.people.skeleton.group_indices if groups is None else groups), "All": scores.mean_joints}


def write_analysis(folder: str | Path, models: Mapping[str, Scores]) -> list[Path]:
    """Write both analyses of one or several models.

    ``diagnosis.csv`` lists every counted joint that is not good, ``double_counting.csv`` every map with several peaks, each with
    the person's index and photograph; ``diagnosis.png`` and ``double_counting.png`` show the shares, of all models side by side.

    Parameters
    ----------
    folder : str or Path
    models : mapping of str to Scores
        By the names that the pictures print.

    Returns
    -------
    list of Path : the files.

    Raises
    ------
    OutputError
        If one cannot be written.
    """
    from posekit.drawing.curves import diagnosis_bars, double_counting_bars

    folder = Path(folder)
    diagnoses = {name: scores.diagnosis for name, scores in models.items()}
    shares = {name: diagnosis_shares(models[name], found) for name, found in diagnoses.items()}
    written = [
        _write_csv(folder / "diagnosis.csv", _DIAGNOSIS_COLUMNS, _diagnosis_rows(models, diagnoses)),
        _write_figure(folder / "diagnosis.png", diagnosis_bars(shares)),
    ]
    doubles = {name: found for name, scores in models.items() if (found := scores.double_counting) is not None}
    if doubles:
        shares = {name: double_shares(models[name], found) for name, found in doubles.items()}
        written.append(_write_csv(folder / "double_counting.csv", _DOUBLE_COLUMNS, _double_rows(models, doubles)))
        written.append(_write_figure(folder / "double_counting.png", double_counting_bars(shares)))
    return written


def _diagnosis_rows(models: Mapping[str, Scores], diagnoses: Mapping[str, Diagnosis]) -> Iterator[tuple]:
    for name, found in diagnoses.items():
        for person, joint in np.argwhere(found.kind_NK > KINDS.index("good")):
            error = models[name].pck.errors[person, joint]
            yield (*_place(name, models[name], person, joint), KINDS[found.kind_NK[person, joint]], f"{error:.4f}")


def _double_rows(models: Mapping[str, Scores], doubles: Mapping[str, DoubleCounting]) -> Iterator[tuple]:
    for name, found in doubles.items():
        for person, joint in np.argwhere(found.double):
            facts = (int(fact[person, joint]) for fact in (found.top_right, found.other_right, found.other_opposite))
            yield (*_place(name, models[name], person, joint), *facts)


def _place(name: str, scores: Scores, person: int, joint: int) -> tuple:
    return name, int(person), Path(scores.people.image_paths[person]).name, scores.people.skeleton.joints[joint]


def _write_csv(path: Path, columns: Sequence[str], rows: Iterator[tuple]) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    with atomic_write(path) as unfinished:
        unfinished.write_text(text.getvalue(), encoding="utf-8")
    return path


def _write_figure(path: Path, figure) -> Path:
    with atomic_write(path) as unfinished:
        figure.savefig(unfinished, dpi=200)
    return path
