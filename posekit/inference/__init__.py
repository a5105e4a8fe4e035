"""From photographs to poses."""

from posekit.drawing.subject import Look, Subject
from posekit.inference.pose import Pose
from posekit.inference.predictor import Predictor, load
from posekit.inference.subject import annotated_subject, look
from posekit.inference.testtime import PLAIN, PYRAMID, Views

__all__ = ["PLAIN", "PYRAMID", "Look", "Pose", "Predictor", "Subject", "Views", "annotated_subject", "load", "look"]
