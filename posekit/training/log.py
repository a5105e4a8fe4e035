"""What a run tells: metrics.csv and TensorBoard, a row per epoch."""

import csv
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from posekit.errors import OutputError


class EpochLog:
    """Rows of numbers, one per epoch, in ``metrics.csv`` and for TensorBoard.

    Parameters
    ----------
    folder : Path
        The run's folder.
    epochs_done : int
        Rows of later epochs, left by a run that was cut off, are dropped.

    Attributes
    ----------
    rows : list of dict
        All rows so far.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """

    def __init__(self, folder: Path, epochs_done: int = 0):
        self._path = folder / "metrics.csv"
        self.rows = [row for row in read_metrics(self._path) if row["epoch"] <= epochs_done]
        try:
            self._board = SummaryWriter(folder / "tensorboard", purge_step=epochs_done + 1)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written ({error.strerror})") from error

    def add(self, row: dict[str, float]) -> None:
        """Append an epoch's row."""
        self.rows.append(row)
        try:
            new = self._path.with_suffix(".new")
            with new.open("w", newline="") as file:
                # Earlier rows may have other columns, where a resumed run validates on other people.
                writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(name for row in self.rows for name in row)))
                writer.writeheader()
                writer.writerows(self.rows)
            new.replace(self._path)
            for name, value in row.items():
                self._board.add_scalar(name, value, row["epoch"])
            self._board.flush()
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written ({error.strerror})") from error

    def close(self) -> None:
        """Close TensorBoard's file."""
        self._board.close()


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Rows of a run's metrics.csv; none where there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{name: _number(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def _number(text: str) -> float:
    """Whole numbers stay whole, so that a row read and written again is the same."""
    try:
        return int(text)
    except ValueError:
        return float(text)
