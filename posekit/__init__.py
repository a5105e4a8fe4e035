"""posekit: human pose estimation with anchor loss."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("posekit")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"

__all__ = ["__version__", "load"]


def __getattr__(name: str):
    # Loaded on demand: `import posekit.losses` needs nothing but torch.
    if name == "load":
        from posekit.inference.predictor import load

        return load
    raise AttributeError(f"module 'posekit' has no attribute {name!r}")
