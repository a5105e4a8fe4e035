"""posekit: human pose estimation with anchor loss."""

import os
from importlib.metadata import PackageNotFoundError, version

# Before torch loads OpenMP: threads that spin for long while they wait slow a busy machine down tenfold,
# threads that never spin cost a third of the speed on a free one.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

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
