"""The work of `posekit predict`."""

import argparse
import importlib.metadata
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from posekit import __version__
from posekit.cli.predict import PEAK_THRESHOLD, PROBABILITY_THRESHOLD
from posekit.cli.predict.images import find_images, predict_image, split_videos
from posekit.cli.predict.outputs import Outputs
from posekit.cli.predict.video import output_name, predict_video
from posekit.errors import BoxError, ConfigError, ImageError, WeightsError
from posekit.geometry import Box
from posekit.images import cv2
from posekit.prediction.detect import OnnxDetector, PoseDetector
from posekit.prediction.pose import Pose
from posekit.prediction.predictor import Predictor, load
from posekit.scoring.io.boxes import boxes_of, read_boxes
from posekit.skeletons import MPII16, joint_mapping
from posekit.synthetic.scene import render_scene
from posekit.weights import PEOPLE, shipped

Detector = Callable[[np.ndarray], Sequence[Box]]


def run(args: argparse.Namespace) -> None:
    """Predict all inputs and write the outputs; with `--check`, check the installation instead."""
    options = {name: getattr(args, name) for name in ("device", "decode", "backend", "precision")}
    if args.check:
        _check_installation(args.weights, **options)
        return
    if not args.inputs:
        raise ConfigError("nothing to predict: give at least one INPUT (image, folder or video), or --check")
    inputs, videos = split_videos(args.inputs)
    if videos:
        _require_video_options(args, videos, only_videos=not inputs)
    images = find_images(inputs)
    boxes: Sequence[Sequence[Box] | None] = [args.boxes] * len(images)
    if args.boxes_file:
        boxes = boxes_of(images, read_boxes(args.boxes_file, min_score=args.min_box_score), str(args.boxes_file))
    predictor = load(args.weights, **options)
    threshold = PROBABILITY_THRESHOLD if predictor.calibrated else PEAK_THRESHOLD
    min_score = threshold if args.min_score is None else args.min_score
    detect = _open_detector(predictor, args)
    n_videos = 0
    for video in videos:
        try:
            summary = predict_video(
                predictor, video, args.out, boxes=args.boxes, detect=detect, smooth=args.smooth, sure=threshold, min_score=min_score
            )
            print(summary)
            n_videos += 1
        except ImageError as error:
            print(f"skipped: {error}", file=sys.stderr)
    if images:
        outputs = Outputs(args, images, predictor, min_score)
        _predict_images(predictor, images, boxes, detect, args.refine, outputs)
    elif not n_videos:
        raise ImageError("none of the videos could be read")


def _check_installation(weights: str, **options: str) -> None:
    """Print the installed versions, and test the model on a rendered person."""
    print(f"posekit {__version__}, Python {platform.python_version()}")
    print(f"torch {torch.__version__}, OpenCV {cv2.__version__}, {torch.get_num_threads()} threads")
    print(f"ONNX Runtime {_version('onnxruntime')}, onnx {_version('onnx')}")
    print(f"bundled weights: {', '.join(shipped())} (poses), {PEOPLE.stem} (person detector)")
    predictor = load(weights, **options)
    scene = render_scene(np.random.default_rng(6), whole=True)  # a fully visible, upright person
    truth = scene.people[0].joints
    (pose,) = predictor(scene.image, [Box.around(truth)])
    if not (np.isfinite(pose.keypoints).all() and np.isfinite(pose.scores).all()):
        raise WeightsError(f"{weights}: the predicted joints or scores are not finite; use other weights")
    place = f"{predictor.backend.name} on {predictor.device}"
    print(f"test prediction with {weights} ({place}): works; {_accuracy(pose, truth)}")


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
    near = errors <= 0.2 * torso
    return f"{near.sum()} of {shared.sum()} joints are within 0.2 torso lengths of their true positions; {score}"


def _require_video_options(args: argparse.Namespace, videos: Sequence[str | int], *, only_videos: bool) -> None:
    if args.save and only_videos:
        raise ConfigError("--save applies to images only; remove --save: NAME.overlay.mp4 and NAME.poses.jsonl are always written")
    if args.boxes_file:
        raise ConfigError("--boxes applies to images only; for a video, give the boxes in the first frame with --box")
    names = [output_name(video) for video in videos]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two videos have the same output name {name}; predict each video into a different --out folder")


def _open_detector(predictor: Predictor, args: argparse.Namespace) -> Detector | None:
    if args.boxes or args.boxes_file or args.detect == "none":
        return None
    if args.detect in (None, "self"):
        from posekit.tasks.person_finder.finder import CentreFinder

        return PoseDetector(predictor, CentreFinder(device=str(predictor.device)))
    return OnnxDetector(args.detect, min_score=args.min_box_score)


def _predict_images(
    predictor: Predictor,
    images: Sequence[Path],
    boxes: Sequence[Sequence[Box] | None],
    detect: Detector | None,
    refine: int,
    outputs: Outputs,
) -> None:
    failures = 0
    complete = False
    try:
        hide_bar = True if len(images) == 1 else None  # None: shown only on a terminal
        for path, image_boxes in zip(tqdm(images, unit="image", disable=hide_bar), boxes, strict=True):
            try:
                prediction = predict_image(predictor, path, image_boxes, detect=detect, refine=refine)
            except (ImageError, BoxError) as error:
                failures += 1
                message = str(error) if str(path) in str(error) else f"{path}: {error}"
                tqdm.write(f"skipped: {message}", file=sys.stderr)
                continue
            outputs.add(prediction)
        complete = True
    finally:  # if interrupted, still write the images predicted so far
        outputs.finish(complete=complete)
    if failures:
        print(f"{failures} of {len(images)} images skipped", file=sys.stderr)
    if failures == len(images):
        raise ImageError("none of the images could be predicted")
    outputs.print_summary()
