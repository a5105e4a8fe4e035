"""Whether predicting works here: what is installed, and a prediction on a person who is rendered on the spot."""

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

# Draws someone who stands upright, whole and unhidden.
_SEED = 6
_NEAR = 0.2


def check_installation(weights: str, **options) -> Iterator[str]:
    """Lines that tell what is installed, and then how a prediction went.

    Parameters
    ----------
    weights : str
        As `posekit.prediction.load` takes it, with its options.

    Raises
    ------
    WeightsError, ConfigError
        If predicting does not work: the message says why.
    """
    yield f"posekit {__version__}, Python {platform.python_version()}"
    yield f"torch {torch.__version__}, OpenCV {cv2.__version__}, {torch.get_num_threads()} threads"
    yield f"ONNX Runtime {_version('onnxruntime')}, onnx {_version('onnx')}"
    yield f"weights that come along: {', '.join(shipped())}; {PEOPLE.stem}, which finds people"
    predictor = load(weights, **options)
    scene = render_scene(np.random.default_rng(_SEED), whole=True)
    truth = scene.people[0].joints
    (pose,) = predictor(scene.image, [Box.around(truth)])
    if not (np.isfinite(pose.keypoints).all() and np.isfinite(pose.scores).all()):
        raise WeightsError(f"{weights}: predicts what is no number; take other weights")
    how = f"{predictor.backend.name} on {predictor.device}"
    yield f"prediction on a rendered person by {weights} ({how}): {_told(pose, truth)}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return 'not installed (pip install -e ".[onnx]")'


def _told(pose: Pose, truth_px: np.ndarray) -> str:
    source = joint_mapping(MPII16, pose.skeleton)
    common = source >= 0
    score = f"mean score {pose.scores.mean():.2f}"
    if not common.any():
        return f"works; none of its joints is one of the rendered person's, so nobody can tell how well, {score}"
    torso = np.linalg.norm(truth_px[MPII16.index("left_shoulder")] - truth_px[MPII16.index("right_hip")])
    near = np.linalg.norm(pose.keypoints[common] - truth_px[source[common]], axis=1) <= _NEAR * torso
    return f"works; {near.sum()} of {common.sum()} joints are within {_NEAR} torsos of the truth, {score}"
