"""From photographs to poses."""

from posekit.inference.pose import Pose
from posekit.inference.predictor import Predictor, load
from posekit.inference.testtime import PLAIN, PYRAMID, Views

__all__ = ["PLAIN", "PYRAMID", "Pose", "Predictor", "Views", "load"]
