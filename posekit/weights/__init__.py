"""Weights that come with posekit, each beside its card (NAME.md): what it was trained on, how good it is, where it fails."""

from pathlib import Path

from posekit.errors import WeightsError

FOLDER = Path(__file__).parent
DEFAULT = "lspet-hg2"
"""What is taken where nobody names any."""
PEOPLE = FOLDER / "lspet-people.safetensors"
"""No pose model: the network that finds people (`posekit.tasks.person_finder.finder.CentreFinder`)."""


def shipped() -> list[str]:
    """Names of the pose models that come with posekit."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors") if path != PEOPLE)


def locate(weights: str | Path) -> Path:
    """The file of some weights: that of the path, or of the name of some that come with posekit.

    Raises
    ------
    WeightsError
        If it is neither; the message tells the names.
    """
    path = Path(weights)
    if path.is_file():
        return path
    if str(weights) in shipped():
        return FOLDER / f"{weights}.safetensors"
    raise WeightsError(
        f"{weights}: no such weights file. Give a .safetensors file: tools/train.py writes best.safetensors and final.safetensors "
        f"into its --out folder; an .onnx file of tools/export.py; or a name of what comes with posekit: {', '.join(shipped())}"
    )
