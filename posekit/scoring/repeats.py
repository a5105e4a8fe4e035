"""Compare models, each trained with several random seeds and scored on the same data."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from posekit.metrics import KINDS, Difference, compare_repeats
from posekit.scoring.analysis import diagnosis_shares, double_shares
from posekit.scoring.metrics_file import HasMetrics
from posekit.scoring.score import Scores

ERROR_TITLES = {"error": "top-1 error", "error_top5": "top-5 error"}
"""Error metrics of classifiers: key in metrics.json and title in tables."""
MEAN = "Mean"
INVERSIONS = "Inversions"
DOUBLE = "Double"
_ALL = "All"


@dataclass(frozen=True)
class Evaluation:
    """Scores of one trained model, with additional entries for metrics.json.

    Parameters
    ----------
    scores : HasMetrics
    parameters : int
        Number of the network's parameters.
    choices, sections : mapping
        Additional entries for metrics.json; see `posekit.scoring.score.Scores.to_dict`.
    """

    scores: HasMetrics
    parameters: int
    choices: Mapping = field(default_factory=dict)
    sections: Mapping = field(default_factory=dict)


@dataclass(frozen=True)
class Spread:
    """Values of one metric over S repeats with different seeds.

    Parameters
    ----------
    values : tuple of float
        One value per repeat.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the repeats."""
        return float(np.mean(self.values))

    @property
    def deviation(self) -> float:
        """Sample standard deviation over the repeats; NaN for a single repeat."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else float("nan")

    def __str__(self):
        if not np.isfinite(self.mean):
            return "-"
        if not np.isfinite(self.deviation):
            return f"{self.mean:.2f}"
        return f"{self.mean:.2f} ± {self.deviation:.2f}"


@dataclass(frozen=True)
class Repeats(ABC):
    """Scores of one training configuration, repeated with several seeds.

    Parameters
    ----------
    scores : mapping of int to Scores, or to another task's scores
        Scores by seed, all on the same data.
    """

    scores: Mapping[int, Any]
    low: ClassVar[Collection[str]]
    """Names of the metrics for which lower is better."""

    @cached_property
    def figures(self) -> dict[str, Spread]:
        """Values of each metric over the seeds, in percent."""
        figures_by_seed = [self._figures(scores) for scores in self.scores.values()]
        spreads = {}
        for name in figures_by_seed[0]:
            spreads[name] = Spread(tuple(figures[name] for figures in figures_by_seed))
        return spreads

    def minus(self, other: "Repeats") -> dict[str, Difference]:
        """Difference of each metric, self minus other, in percentage points.

        Only seeds that both have are used; the result is empty if there are none. The 95 % confidence intervals come from a paired
        bootstrap over seeds and people (or images).
        """
        seeds = sorted(self.scores.keys() & other.scores.keys())
        return self._differences(other, seeds) if seeds else {}

    @abstractmethod
    def _figures(self, scores: Any) -> dict[str, float]:
        """Compute the metrics of one seed, in percent."""

    @abstractmethod
    def _differences(self, other: "Repeats", seeds: Sequence[int]) -> dict[str, Difference]:
        """Compute the result of `minus` for these seeds."""


class PoseRepeats(Repeats):
    """Repeats of a pose model.

    The metrics are PCK of each joint group, the pooled mean, and the percentages of inversions and of heatmaps with several peaks.
    `minus` gives only the differences of PCK.
    """

    low = (INVERSIONS, DOUBLE)

    def _figures(self, scores: Scores) -> dict[str, float]:
        figures = {**scores.groups, MEAN: scores.pooled_mean}
        figures[INVERSIONS] = float(diagnosis_shares(scores, scores.diagnosis)[_ALL][KINDS.index("inversion")])
        if scores.double_counting is not None:
            figures[DOUBLE] = float(double_shares(scores, scores.double_counting)[_ALL][0])
        return figures

    def _differences(self, other: Repeats, seeds: Sequence[int]) -> dict[str, Difference]:
        first: Scores = self.scores[seeds[0]]
        joints = {**first.people.skeleton.group_indices, MEAN: first.mean_joints}
        ours = [self.scores[seed].pck for seed in seeds]
        others = [other.scores[seed].pck for seed in seeds]
        return {name: compare_repeats(ours, others, indices) for name, indices in joints.items()}


def scores_table(models: Mapping[str, Repeats], extra: Mapping[str, Mapping[str, str]]) -> str:
    """Return a Markdown table with one row per model: mean ± standard deviation over the seeds; the best mean per column is bold.

    Parameters
    ----------
    models : mapping of str to Repeats
        Scores by model name.
    extra : mapping of str to mapping of str to str
        Additional cells: for each model name, the text of each additional column.
    """
    first = next(iter(models.values()))
    best = {}
    for column in first.figures:
        means = [repeats.figures[column].mean for repeats in models.values()]
        if np.isfinite(means).any():
            best[column] = np.nanmin(means) if column in first.low else np.nanmax(means)
    extra_columns: dict[str, None] = {}
    for extra_cells in extra.values():
        extra_columns |= dict.fromkeys(extra_cells)
    rows = []
    for name, repeats in models.items():
        row = [name, str(len(repeats.scores))]
        for column, spread in repeats.figures.items():
            row.append(f"**{spread}**" if spread.mean == best.get(column) else str(spread))
        row += [extra.get(name, {}).get(column, "") for column in extra_columns]
        rows.append(row)
    return markdown_table(["", "seeds", *first.figures, *extra_columns], rows)


def differences_table(models: Mapping[str, Repeats], against: str) -> str:
    """Return a Markdown table: each model minus the model `against`, with 95 % interval; bold where the interval excludes 0."""
    columns: list[str] = []
    rows = []
    for name, repeats in models.items():
        differences = repeats.minus(models[against]) if name != against else {}
        if differences:
            columns = columns or list(differences)
            rows.append([name, *(_difference_cell(differences[column]) for column in columns)])
    return markdown_table([f"minus {against}", *columns], rows)


def _difference_cell(difference: Difference) -> str:
    if np.isnan(difference.low):
        return "-"
    text = f"{difference.difference:+.2f}"
    bold = f"**{text}**" if difference.decided else text
    return f"{bold} ({difference.low:+.2f} to {difference.high:+.2f})"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; the character ``|`` in cells is escaped."""
    lines = []
    for cells in (header, ["---"] * len(header), *rows):
        escaped = [cell.replace("|", "\\|") for cell in cells]
        lines.append(f"| {' | '.join(escaped)} |")
    return "\n".join(lines)
