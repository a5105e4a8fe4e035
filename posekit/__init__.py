"""posekit: human pose estimation with anchor loss."""

import importlib
import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from posekit.geometry import Box
    from posekit.prediction.detect import OnnxDetector, PoseDetector
    from posekit.prediction.pose import Pose
    from posekit.prediction.predictor import Predictor, load
    from posekit.prediction.test_time import TestTimeAugmentation

# GOMP_SPINCOUNT must be set before torch loads OpenMP. Waiting threads that spin for a long time can make posekit 20 times slower
# on a busy machine; a short spin makes posekit 10 % slower on an idle machine. `tools/benchmark.py --only busy` measures both.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

try:
    __version__ = version("posekit")
except PackageNotFoundError:  # running from a checkout without an installed package
    __version__ = "0+unknown"

__all__ = ["Box", "OnnxDetector", "Pose", "PoseDetector", "Predictor", "TestTimeAugmentation", "__version__", "load"]

# Module of each public name. Modules are imported on first use, so that `import posekit.losses` requires only torch.
_LAZY = {
    "Box": "posekit.geometry",
    "OnnxDetector": "posekit.prediction.detect",
    "Pose": "posekit.prediction.pose",
    "PoseDetector": "posekit.prediction.detect",
    "Predictor": "posekit.prediction.predictor",
    "TestTimeAugmentation": "posekit.prediction.test_time",
    "load": "posekit.prediction.predictor",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'posekit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
