"""Networks, what they are fed, and the files their weights are kept in."""

from posekit.models.centres import CentresInfo, build_centres, load_centres, save_centres
from posekit.models.classifier import ClassifierInfo, load_classifier, save_classifier
from posekit.models.foreign import convert_weights, load_foreign
from posekit.models.hourglass import StackedHourglass
from posekit.models.inputs import normalise
from posekit.models.resnet import CLASSIFIERS, SmallResNet, build_classifier
from posekit.models.weights import ModelInfo, build_model, load_weights, read_info, save_weights, start_from

__all__ = [
    "CLASSIFIERS",
    "CentresInfo",
    "ClassifierInfo",
    "ModelInfo",
    "SmallResNet",
    "StackedHourglass",
    "build_centres",
    "build_classifier",
    "build_model",
    "convert_weights",
    "load_centres",
    "load_classifier",
    "load_foreign",
    "load_weights",
    "normalise",
    "read_info",
    "save_centres",
    "save_classifier",
    "save_weights",
    "start_from",
]
