"""Check the installation: report installed versions, and predict the joints of a rendered person."""

import importlib.metadata
import platform
from collections.abc import Iterator

import numpy as np
import torch

from posekit import __version__
from posekit.errors import WeightsError
from posekit.geometry import Box
from posekit.images import cv2
from posekit.prediction.pose import Pose
from posekit.prediction.predictor import load
from posekit.skeletons import MPII16, joint_mapping
from posekit.synthetic.scene import render_scene
from posekit.weights import PEOPLE, shipped

# This seed renders one fully visible, upright person.
_SEED = 6
_THRESHOLD = 0.2


def check_installation(weights: str, **options: str) -> Iterator[str]:
    """Yield lines of text: the installed versions, and finally the result of a test prediction.

    Parameters
    ----------
    weights : str
        Passed with `options` to `posekit.prediction.predictor.load`.

    Raises
    ------
    WeightsError, ConfigError
        If the test prediction fails; the message names the cause.
    """
    yield f"posekit {__version__}, Python {platform.python_version()}"
    yield f"torch {torch.__version__}, OpenCV {cv2.__version__}, {torch.get_num_threads()} threads"
    yield f"ONNX Runtime {_version('onnxruntime')}, onnx {_version('onnx')}"
    yield f"bundled weights: {', '.join(shipped())} (poses), {PEOPLE.stem} (person detector)"
    predictor = load(weights, **options)
    scene = render_scene(np.random.default_rng(_SEED), whole=True)
    truth = scene.people[0].joints
    (pose,) = predictor(scene.image, [Box.around(truth)])
    if not (np.isfinite(pose.keypoints).all() and np.isfinite(pose.scores).all()):
        raise WeightsError(f"{weights}: the predicted joints or scores are not finite; use other weights")
    result = _accuracy(pose, truth)
    yield f"test prediction with {weights} ({predictor.backend.name} on {predictor.device}): works; {result}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return 'not installed (pip install -e ".[onnx]")'


def _accuracy(pose: Pose, truth_px: np.ndarray) -> str:
    """Describe how many joints are near the true joints `truth_px`: (16, 2) array, image pixels, in MPII's order."""
    source = joint_mapping(MPII16, pose.skeleton)
    shared = source >= 0
    score = f"mean score {pose.scores.mean():.2f}"
    if not shared.any():
        return f"the accuracy is unknown, because the rendered person has none of the model's joints; {score}"
    torso = np.linalg.norm(truth_px[MPII16.index("left_shoulder")] - truth_px[MPII16.index("right_hip")])
    errors = np.linalg.norm(pose.keypoints[shared] - truth_px[source[shared]], axis=1)
    near = errors <= _THRESHOLD * torso
    return f"{near.sum()} of {shared.sum()} joints are within {_THRESHOLD} torso lengths of their true positions; {score}"
