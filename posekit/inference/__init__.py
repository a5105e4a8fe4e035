"""From photographs to poses."""

from posekit.drawing.subject import Look, Subject
from posekit.inference.detection import PoseDetector
from posekit.inference.onnx_detection import OnnxDetector
from posekit.inference.pose import Pose
from posekit.inference.predictor import Predictor, load
from posekit.inference.subject import annotated_subject, look
from posekit.inference.testtime import PLAIN, PYRAMID, Views

__all__ = [
    "PLAIN",
    "PYRAMID",
    "Look",
    "OnnxDetector",
    "Pose",
    "PoseDetector",
    "Predictor",
    "Subject",
    "Views",
    "annotated_subject",
    "load",
    "look",
]
