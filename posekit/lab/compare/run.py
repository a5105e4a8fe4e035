"""One run of a comparison, and its progress."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posekit.training.log import read_metrics


@dataclass(frozen=True, eq=False)  # compared by identity, so that a run can be a dictionary's key
class Run:
    """Training of one model with one seed.

    Parameters
    ----------
    model : str
        Name of the model in the comparison.
    seed : int
    folder : Path
        Folder of the run.
    results : Path
        Folder with the scores of the last epoch's weights.
    arguments : list of str
        Arguments of the training command, without --out.
    config : PoseConfig or ClassifierConfig
        The training configuration that results from `arguments`.
    """

    model: str
    seed: int
    folder: Path
    results: Path
    arguments: list[str]
    config: Any

    @property
    def name(self) -> str:
        """Model and seed, for messages."""
        return f"{self.model}, seed {self.seed}"

    @property
    def started(self) -> bool:
        """Whether the run has a checkpoint to resume from."""
        return (self.folder / "last").exists() or (self.folder / "last.old").exists()

    @property
    def done(self) -> bool:
        """Whether the run is trained and scored."""
        return (self.results / "metrics.json").exists()

    def rows(self) -> list[dict[str, float]]:
        """Load the rows of the run's metrics.csv, one per finished epoch; empty if the file does not exist."""
        path = self.folder / "metrics.csv"
        return read_metrics(path) if path.exists() else []
