"""Weights that come with posekit. Beside each lies its card (NAME.md): training data, accuracy and limits."""

from pathlib import Path

from posekit.errors import WeightsError

FOLDER = Path(__file__).parent
DEFAULT = "lspet-hg2"
"""Name of the weights that are used by default."""
PEOPLE = FOLDER / "lspet-people.safetensors"
"""Weights of the network that finds people (`posekit.tasks.person_finder.finder.CentreFinder`), not of a pose model."""


def shipped() -> list[str]:
    """Return the names of the pose models that come with posekit."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors") if path != PEOPLE)


def locate(weights: str | Path) -> Path:
    """Return the path of a weights file, given by path or by a name of `shipped`.

    Raises
    ------
    WeightsError
        If there is no such file or name.
    """
    path = Path(weights)
    if path.is_file():
        return path
    if str(weights) in shipped():
        return FOLDER / f"{weights}.safetensors"
    raise WeightsError(
        f"{weights}: no such weights file. Give a .safetensors file (tools/train.py writes best.safetensors and final.safetensors "
        f"into its --out folder), an .onnx file from tools/export.py, or a name of weights that come with posekit: "
        f"{', '.join(shipped())}"
    )
