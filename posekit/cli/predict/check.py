"""Check of the installation: installed versions, and a prediction on a rendered person."""

import importlib.metadata
import platform
from collections.abc import Iterator

import numpy as np
import torch

from posekit import __version__
from posekit.errors import WeightsError
from posekit.geometry import Box
from posekit.opencv import cv2
from posekit.prediction.pose import Pose
from posekit.prediction.predictor import load
from posekit.skeletons import MPII16, joint_mapping
from posekit.synthetic.scene import render_scene
from posekit.weights import PEOPLE, shipped

# Renders a person who stands upright and is fully visible.
_SEED = 6
_THRESHOLD = 0.2


def check_installation(weights: str, **options: str) -> Iterator[str]:
    """Yield lines that report what is installed, and last the result of a prediction.

    Parameters
    ----------
    weights : str
        As for `posekit.prediction.predictor.load`, with its options.

    Raises
    ------
    WeightsError, ConfigError
        If predicting does not work; the message names the cause.
    """
    yield f"posekit {__version__}, Python {platform.python_version()}"
    yield f"torch {torch.__version__}, OpenCV {cv2.__version__}, {torch.get_num_threads()} threads"
    yield f"ONNX Runtime {_version('onnxruntime')}, onnx {_version('onnx')}"
    yield f"included weights: {', '.join(shipped())}; {PEOPLE.stem}, which finds people"
    predictor = load(weights, **options)
    scene = render_scene(np.random.default_rng(_SEED), whole=True)
    truth = scene.people[0].joints
    (pose,) = predictor(scene.image, [Box.around(truth)])
    if not (np.isfinite(pose.keypoints).all() and np.isfinite(pose.scores).all()):
        raise WeightsError(f"{weights}: predicts NaN or infinity; use other weights")
    result = _accuracy(pose, truth)
    yield f"prediction on a rendered person by {weights} ({predictor.backend.name} on {predictor.device}): works; {result}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return 'not installed (pip install -e ".[onnx]")'


def _accuracy(pose: Pose, truth_px: np.ndarray) -> str:
    """Describe how many joints lie near the truth, (16, 2) image pixels in the order of MPII."""
    source = joint_mapping(MPII16, pose.skeleton)
    shared = source >= 0
    score = f"mean score {pose.scores.mean():.2f}"
    if not shared.any():
        return f"the accuracy is unknown, as the rendered person has none of its joints, {score}"
    torso = np.linalg.norm(truth_px[MPII16.index("left_shoulder")] - truth_px[MPII16.index("right_hip")])
    errors = np.linalg.norm(pose.keypoints[shared] - truth_px[source[shared]], axis=1)
    near = errors <= _THRESHOLD * torso
    return f"{near.sum()} of {shared.sum()} joints are within {_THRESHOLD} torsos of the truth, {score}"
