"""What a comparison needs to know of what it trains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from posekit.cli.compare.run import Run
from posekit.cli.training import Training
from posekit.evaluation.metrics_file import Told
from posekit.evaluation.repeats import Repeats


@dataclass(frozen=True)
class Evaluated:
    """What weights came to.

    Parameters
    ----------
    scores : Told
    parameters : int
        Of the network.
    choices, sections : mapping
        As of `posekit.evaluation.Scores.to_dict`.
    """

    scores: Told
    parameters: int
    choices: Mapping = field(default_factory=dict)
    sections: Mapping = field(default_factory=dict)


class Kind(Protocol):
    """Poses or classes: what all runs of a comparison are scored on, and how."""

    open: type[Training]
    """Configuration -> what trains."""
    same: Sequence[str]
    """Keys of data that all runs must share, to be scored alike."""
    followed: str
    """Column of metrics.csv that says how good the model is."""
    kept: Sequence[str]
    """Keys of metrics.json that the results repeat."""
    drawn: str
    """What the bootstrap draws, beside seeds."""
    described: str
    """What there is to train on and to score, for the screen."""

    def __init__(self, training: Training):
        """Of the first run."""

    def evaluate(self, run: Run, weights: Path) -> Evaluated:
        """Score weights, and write what they predict into the run's folder of results."""

    def repeats(self, runs: Sequence[Run]) -> Repeats:
        """What the runs of one model came to."""

    def figures(self, found: Mapping) -> dict[str, float]:
        """Columns of results.csv, from a run's metrics.json; `KeyError` where it lacks one."""

    def caption(self, run: Run, models: Mapping[str, Any]) -> str:
        """What the table's numbers are."""

    def groups(self, models: Mapping[str, Any]) -> list[str]:
        """Figures that are drawn."""

    def metric(self, models: Mapping[str, Any]) -> str:
        """What they are."""
