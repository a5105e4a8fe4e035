"""From a configuration to the objects it describes: the only room that knows both."""

from posekit.build.classifier import build_class_loss, build_classifier_engine, build_images
from posekit.build.detector import build_detector_engine, build_scene_parts
from posekit.build.pose import build_engine, build_info, build_loss, build_people
from posekit.build.training import build_accelerator, build_optimizer, resolved_precision

__all__ = [
    "build_accelerator",
    "build_class_loss",
    "build_classifier_engine",
    "build_detector_engine",
    "build_engine",
    "build_images",
    "build_info",
    "build_loss",
    "build_optimizer",
    "build_people",
    "build_scene_parts",
    "resolved_precision",
]
