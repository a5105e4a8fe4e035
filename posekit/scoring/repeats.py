"""Models that were each trained several times, with other seeds, scored on the same data: is one better, or is it luck."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from posekit.metrics import KINDS, Difference, compare_repeats
from posekit.scoring.analysis import diagnosis_shares, double_shares
from posekit.scoring.markdown import markdown_table
from posekit.scoring.metrics_file import HasMetrics
from posekit.scoring.score import Scores

ERROR_TITLES = {"error": "top-1 error", "error_top5": "top-5 error"}
"""Figures of classifiers: keys of metrics.json, and as tables name them."""
_ALL = "All"
MEAN, INVERSIONS, DOUBLE = "Mean", "Inversions", "Double"


@dataclass(frozen=True)
class Evaluation:
    """Scores of one model's weights, with what metrics.json says beside them.

    Parameters
    ----------
    scores : HasMetrics
    parameters : int
        Of the network.
    choices, sections : mapping
        See `posekit.scoring.score.Scores.to_dict`.
    """

    scores: HasMetrics
    parameters: int
    choices: Mapping = field(default_factory=dict)
    sections: Mapping = field(default_factory=dict)


@dataclass(frozen=True)
class Spread:
    """A figure over the repeats.

    Parameters
    ----------
    values : (S,) float
        Of each repeat.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Of the repeats."""
        return float(np.mean(self.values))

    @property
    def deviation(self) -> float:
        """Standard deviation of the repeats (of a sample); NaN of a single one."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else float("nan")

    def __str__(self):
        text = f"{self.mean:.2f}" if np.isfinite(self.mean) else "-"
        return text + (f" ± {self.deviation:.2f}" if np.isfinite(self.deviation) else "")


@dataclass(frozen=True)
class Repeats(ABC):
    """What one way of training came to, each time.

    Parameters
    ----------
    scores : mapping of int to Scores, or to what else says how good a model is
        By seed, all of the same data.
    """

    scores: Mapping[int, Any]
    low: ClassVar[Collection[str]]
    """Figures that are good where they are low."""

    @cached_property
    def figures(self) -> dict[str, Spread]:
        """In percent, by name."""
        each = [self._figures(scores) for scores in self.scores.values()]
        return {name: Spread(tuple(figures[name] for figures in each)) for name in each[0]}

    def minus(self, other: "Repeats") -> dict[str, Difference]:
        """Differences of figures, in percentage points, over the seeds that both have; empty where no seed is common.

        The 95 % intervals come from a paired bootstrap over what is scored and seeds.
        """
        seeds = sorted(self.scores.keys() & other.scores.keys())
        return self._differences(other, seeds) if seeds else {}

    @abstractmethod
    def _figures(self, scores: Any) -> dict[str, float]:
        """Of one time, in percent."""

    @abstractmethod
    def _differences(self, other: "Repeats", seeds: Sequence[int]) -> dict[str, Difference]:
        """As `minus`, over these seeds."""


class PoseRepeats(Repeats):
    """Of a pose model: PCK of the skeleton's groups and the pooled mean; joints that are inversions; maps with several peaks.

    Differences are of PCK alone.
    """

    low = (INVERSIONS, DOUBLE)

    def _figures(self, scores: Scores) -> dict[str, float]:
        figures = {**scores.groups, MEAN: scores.pooled_mean}
        figures[INVERSIONS] = float(diagnosis_shares(scores, scores.diagnosis)[_ALL][KINDS.index("inversion")])
        if scores.double_counting is not None:
            figures[DOUBLE] = float(double_shares(scores, scores.double_counting)[_ALL][0])
        return figures

    def _differences(self, other: "PoseRepeats", seeds: Sequence[int]) -> dict[str, Difference]:
        any_one = self.scores[seeds[0]]
        pairs = [[model.scores[seed].pck for seed in seeds] for model in (self, other)]
        joints = {**any_one.people.skeleton.group_indices, MEAN: any_one.mean_joints}
        return {name: compare_repeats(*pairs, indices) for name, indices in joints.items()}


def scores_table(models: Mapping[str, Repeats], extra: Mapping[str, Mapping[str, str]]) -> str:
    """Markdown: a row for each model, mean ± standard deviation over its seeds; the best of a column is bold.

    Parameters
    ----------
    models : mapping of str to Repeats
        By name.
    extra : mapping of str to mapping of str to str
        Further cells of each model, by column.
    """
    columns = list(next(iter(models.values())).figures)
    further = list(dict.fromkeys(column for cells in extra.values() for column in cells))
    low = next(iter(models.values())).low
    best = {column: _best([repeats.figures[column].mean for repeats in models.values()], column in low) for column in columns}
    rows = []
    for name, repeats in models.items():
        cells = [_bold(str(spread), spread.mean == best[column]) for column, spread in repeats.figures.items()]
        rows.append([name, str(len(repeats.scores)), *cells, *(extra.get(name, {}).get(column, "") for column in further)])
    return markdown_table(["", "seeds", *columns, *further], rows)


def _best(values: Sequence[float], low: bool) -> float:
    return (np.nanmin if low else np.nanmax)(values) if np.isfinite(values).any() else np.nan


def _bold(text: str, chosen: bool) -> str:
    return f"**{text}**" if chosen else text


def differences_table(models: Mapping[str, Repeats], against: str) -> str:
    """Markdown: how much more each model has than one of them, with the interval; bold where it excludes 0."""
    differences = {name: repeats.minus(models[against]) for name, repeats in models.items() if name != against}
    differences = {name: found for name, found in differences.items() if found}
    columns = list(dict.fromkeys(column for found in differences.values() for column in found))
    rows = [[name, *(_told(found[column]) for column in columns)] for name, found in differences.items()]
    return markdown_table([f"minus {against}", *columns], rows)


def _told(found: Difference) -> str:
    if np.isnan(found.low):
        return "-"
    return _bold(f"{found.difference:+.2f}", found.decided) + f" ({found.low:+.2f} to {found.high:+.2f})"
