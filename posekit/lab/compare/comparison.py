"""What `posekit compare` needs to know about the models of a task."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from posekit.scoring.repeats import Evaluation, Repeats
from posekit.training.command import Training


class Comparison(Protocol):
    """How the runs of one task are scored and tabulated. Each task's `compare` module has a class of this name."""

    config_class: type
    """Of a run's configuration."""
    open: ClassVar[Callable[[Any], Training]]
    """Configuration -> `Training`."""
    same_data: Sequence[str]
    """Keys of ``data`` that all runs must share, so that they are scored on the same data."""
    metric_column: str
    """Column of metrics.csv that measures how good the model is."""
    kept: Sequence[str]
    """Keys of metrics.json that results.yaml repeats."""
    resampled: str
    """What the bootstrap resamples besides seeds: "persons" or "images"."""
    summary: str
    """Sizes of the training and test data, to be printed."""

    def __init__(self, training: Any) -> None:
        """Use the data of the first run's `Training`, on which all runs are scored."""

    @staticmethod
    def results_folder(decode: str) -> str:
        """Name of the folder, inside a run's folder, that holds the scores of the last epoch's weights."""

    def evaluate(self, config: Any, weights: Path, results: Path, decode: str) -> Evaluation:
        """Score weights, and write their predictions into the folder `results`."""

    def repeats(self, results: Mapping[int, Path]) -> Repeats:
        """Read the scores of one model's runs again, from their results folders by seed."""

    def figures(self, metrics: Mapping) -> dict[str, float]:
        """Columns of results.csv, from the contents of a run's metrics.json; `KeyError` where one is missing."""

    def caption(self, config: Any, decode: str, models: Mapping[str, Any]) -> str:
        """Caption of the table of scores."""

    def groups(self, models: Mapping[str, Any]) -> list[str]:
        """Names of the figures that are drawn."""

    def metric(self, models: Mapping[str, Any]) -> str:
        """Name of the metric, for the axis."""
