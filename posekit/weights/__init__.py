"""Bundled weights. The model card of each weights file (NAME.md, in the same folder) gives training data, accuracy and limits."""

from pathlib import Path

from posekit.errors import WeightsError

FOLDER = Path(__file__).parent
DEFAULT = "lspet-hg2"
"""Name of the default weights."""
PEOPLE = FOLDER / "lspet-people.safetensors"
"""Weights of the person finder (`posekit.tasks.person_finder.finder.CentreFinder`), which is not a pose model."""


def shipped() -> list[str]:
    """Return the names of the bundled pose models."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors") if path != PEOPLE)


def locate(weights: str | Path) -> Path:
    """Return the path of a weights file, given its path or the name of bundled weights (see `shipped`).

    Raises
    ------
    WeightsError
        If `weights` is neither an existing file nor the name of bundled weights.
    """
    path = Path(weights)
    if path.is_file():
        return path
    if str(weights) in shipped():
        return FOLDER / f"{weights}.safetensors"
    raise WeightsError(
        f"{weights}: no such weights file. Give the path of a .safetensors file (tools/train.py writes best.safetensors and "
        f"final.safetensors into its --out folder), the path of an .onnx file from tools/export.py, or the name of bundled "
        f"weights: {', '.join(shipped())}"
    )
