"""Networks, input normalisation and weights files."""

from posekit.models.foreign import convert_weights, load_foreign
from posekit.models.hourglass import StackedHourglass
from posekit.models.inputs import normalise
from posekit.models.resnet import CLASSIFIERS, SmallResNet, build_classifier
from posekit.models.weights import ModelInfo, WeightsInfo, load_weights, read_info, save_weights, start_from

__all__ = [
    "CLASSIFIERS",
    "ModelInfo",
    "SmallResNet",
    "StackedHourglass",
    "WeightsInfo",
    "build_classifier",
    "convert_weights",
    "load_foreign",
    "load_weights",
    "normalise",
    "read_info",
    "save_weights",
    "start_from",
]
