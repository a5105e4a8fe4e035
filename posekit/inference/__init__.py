"""From photographs to poses."""

from posekit.inference.pose import Pose
from posekit.inference.predictor import Predictor, load

__all__ = ["Pose", "Predictor", "load"]
