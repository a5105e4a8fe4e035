"""One training of a comparison, and how far it is."""

from dataclasses import dataclass
from pathlib import Path

from posekit.config import ClassifierConfig, Config
from posekit.training.log import read_metrics


@dataclass(frozen=True, eq=False)  # each is itself alone, to be the key of what it came to
class Run:
    """One training of one model.

    Parameters
    ----------
    model : str
        Its name in the comparison.
    seed : int
    folder : Path
        The run's.
    arguments : list of str
        Of the command that trains it, besides the folder.
    config : Config or ClassifierConfig
        What they come to.
    decode : str
        How a pose model's heatmaps become joints where they are scored.
    """

    model: str
    seed: int
    folder: Path
    arguments: list[str]
    config: Config | ClassifierConfig
    decode: str

    @property
    def name(self) -> str:
        """For people to read."""
        return f"{self.model}, seed {self.seed}"

    @property
    def begun(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return any((self.folder / name).exists() for name in ("last", "last.old"))

    @property
    def results(self) -> Path:
        """Folder with the scores of the last epoch's weights."""
        return self.folder / (f"final-{self.decode}" if isinstance(self.config, Config) else "final")

    @property
    def done(self) -> bool:
        """Whether it is trained and scored."""
        return (self.results / "metrics.json").exists()

    def rows(self) -> list[dict[str, float]]:
        """Rows of its metrics.csv so far."""
        path = self.folder / "metrics.csv"
        return read_metrics(path) if path.exists() else []
