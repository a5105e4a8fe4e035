"""Interface between `posekit compare` and a task such as pose estimation or classification."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from posekit.scoring.repeats import Evaluation, Repeats
from posekit.training.command import Training


class Comparison(Protocol):
    """Scoring and tabulation of one task's runs; the `compare` module of each task implements this protocol as `Comparison`."""

    config_class: type
    """Class of a run's training configuration."""
    open: ClassVar[Callable[[Any], Training]]
    """Function that creates a `Training` from a training configuration."""
    same_data: Sequence[str]
    """Keys of the configuration's ``data`` section that must be equal in all runs, so that all are scored on the same data."""
    metric_column: str
    """Name of the validation metric: a column of a run's metrics.csv."""
    kept: Sequence[str]
    """Keys that are copied from each run's metrics.json to results.yaml."""
    resampled: str
    """Unit that the bootstrap resamples in addition to seeds: "persons" or "images"."""
    summary: str
    """Sizes of the training and test data, as printed text."""

    def __init__(self, training: Any) -> None:
        """Take the evaluation data from the first run's `Training`; all runs are scored on this data."""

    @staticmethod
    def results_folder(decode: str) -> str:
        """Return the name of the subfolder of a run that holds the scores of the last epoch's weights."""

    def evaluate(self, config: Any, weights: Path, results: Path, decode: str) -> Evaluation:
        """Score a weights file, and write its predictions into the folder `results`."""

    def repeats(self, results: Mapping[int, Path]) -> Repeats:
        """Load the scores of one model's runs; `results` maps each seed to the results folder of its run."""

    def figures(self, metrics: Mapping) -> dict[str, float]:
        """Return the scores for results.csv by column title, from a run's metrics.json; raises `KeyError` if one is missing."""

    def caption(self, config: Any, decode: str, models: Mapping[str, Any]) -> str:
        """Return the caption of the score table."""

    def groups(self, models: Mapping[str, Any]) -> list[str]:
        """Return the names of the scores to plot, for example of the joint groups."""

    def metric(self, models: Mapping[str, Any]) -> str:
        """Return the name of the metric, for the axis label."""
