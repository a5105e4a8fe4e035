"""One training of a comparison, and how far it has got."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posekit.training.log import read_metrics


@dataclass(frozen=True, eq=False)  # compared by identity, so that a run can be a dictionary's key
class Run:
    """One training of one model.

    Parameters
    ----------
    model : str
        Its name in the comparison.
    seed : int
    folder : Path
        Folder of the run.
    results : Path
        Folder with the scores of the last epoch's weights.
    arguments : list of str
        Arguments of the training command, without the folder.
    config : PoseConfig or ClassifierConfig
        The configuration that they amount to.
    """

    model: str
    seed: int
    folder: Path
    results: Path
    arguments: list[str]
    config: Any

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.model}, seed {self.seed}"

    @property
    def started(self) -> bool:
        """Whether there is a checkpoint to resume from."""
        return (self.folder / "last").exists() or (self.folder / "last.old").exists()

    @property
    def done(self) -> bool:
        """Whether it is trained and scored."""
        return (self.results / "metrics.json").exists()

    def rows(self) -> list[dict[str, float]]:
        """Rows of its metrics.csv so far."""
        path = self.folder / "metrics.csv"
        return read_metrics(path) if path.exists() else []
