"""Compare models, each trained with several random seeds and scored on the same data."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from posekit.metrics import KINDS, Difference, compare_repeats
from posekit.scoring.analysis import diagnosis_shares, double_shares
from posekit.scoring.metrics_file import HasMetrics
from posekit.scoring.score import Scores
from posekit.tables import markdown_table

ERROR_TITLES = {"error": "top-1 error", "error_top5": "top-5 error"}
"""Error metrics of classifiers: key in metrics.json and title in tables."""
MEAN = "Mean"
INVERSIONS = "Inversions"
DOUBLE = "Double"


@dataclass(frozen=True)
class Evaluation:
    """Scores of one trained model, its number of parameters, and additional entries for metrics.json (see `Scores.to_dict`)."""

    scores: HasMetrics
    parameters: int
    choices: Mapping = field(default_factory=dict)
    sections: Mapping = field(default_factory=dict)


@dataclass(frozen=True)
class Spread:
    """Values of one metric over S repeats with different seeds.

    `values` contains one value per repeat.
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
        """Values of each metric over the seeds, in percent; without metrics that some seeds lack."""
        first, *others = [self._figures(scores) for scores in self.scores.values()]
        spreads = {}
        for name, value in first.items():
            if all(name in figures for figures in others):
                spreads[name] = Spread((value, *(figures[name] for figures in others)))
        return spreads

    def minus(self, other: "Repeats") -> dict[str, Difference]:
        """Difference of each metric, self minus other, in percentage points.

        Only the seeds of both configurations are used; without common seeds, the result is empty. The 95 % confidence intervals
        come from a paired bootstrap over seeds and people (or images).
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

    The metrics are the PCK of each joint group, the pooled mean, and the percentages of inversions and of heatmaps with several
    peaks. `minus` gives only the differences in PCK.
    """

    low = (INVERSIONS, DOUBLE)

    def _figures(self, scores: Scores) -> dict[str, float]:
        figures = {**scores.groups, MEAN: scores.pooled_mean}
        figures[INVERSIONS] = float(diagnosis_shares(scores)["All"][KINDS.index("inversion")])
        if scores.double_counting is not None:
            figures[DOUBLE] = float(double_shares(scores, scores.double_counting)["All"][0])
        return figures

    def _differences(self, other: Repeats, seeds: Sequence[int]) -> dict[str, Difference]:
        first: Scores = self.scores[seeds[0]]
        joints = {**first.people.skeleton.group_indices, MEAN: first.mean_joints}
        ours = [self.scores[seed].pck for seed in seeds]
        others = [other.scores[seed].pck for seed in seeds]
        return {name: compare_repeats(ours, others, indices) for name, indices in joints.items()}


def scores_table(models: Mapping[str, Repeats], extra: Mapping[str, Mapping[str, str]]) -> str:
    """Return a Markdown table with one row per model: mean ± standard deviation over the seeds; the best mean per column is bold.

    `extra` contains, by model name, the text of each additional column.
    """
    rows = {name: [name, str(len(repeats.scores))] for name, repeats in models.items()}
    columns = _keys(repeats.figures for repeats in models.values())
    for column in columns:
        spreads = [repeats.figures.get(column, Spread((np.nan,))) for repeats in models.values()]
        means = [spread.mean for spread in spreads if np.isfinite(spread.mean)]
        lower_is_better = any(column in repeats.low for repeats in models.values())
        best = (min if lower_is_better else max)(means, default=np.nan)
        for row, spread in zip(rows.values(), spreads, strict=True):
            row.append(f"**{spread}**" if spread.mean == best else str(spread))
    extra_columns = _keys(extra.values())
    for name, row in rows.items():
        row += [extra.get(name, {}).get(column, "") for column in extra_columns]
    return markdown_table(["", "seeds", *columns, *extra_columns], list(rows.values()))


def _keys(mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Keys of all mappings, each once, in the order of first occurrence."""
    return list(dict.fromkeys(itertools.chain.from_iterable(mappings)))


def differences_table(models: Mapping[str, Repeats], against: str) -> str:
    """Return a Markdown table: each model minus the model `against`, with 95 % interval; bold if the interval excludes 0."""
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
    bold = "**" if difference.decided else ""
    return f"{bold}{difference.difference:+.2f}{bold} ({difference.low:+.2f} to {difference.high:+.2f})"
