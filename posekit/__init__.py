"""posekit: human pose estimation with anchor loss."""

import importlib.util
import os
from importlib.metadata import PackageNotFoundError, version

# Before torch loads OpenMP. Threads that spin for long while they wait slow a busy machine down up to twentyfold; threads that
# hardly spin cost a tenth of the speed on a free one. `posekit benchmark --only busy` measures both.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

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
    if importlib.util.find_spec(f"posekit.{name}"):
        return importlib.import_module(f"posekit.{name}")
    raise AttributeError(f"module 'posekit' has no attribute {name!r}")
