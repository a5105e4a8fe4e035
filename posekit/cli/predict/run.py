"""Implementation of `posekit predict`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from posekit.cli.predict import DEFAULT_KINDS, PEAK_THRESHOLD, PROBABILITY_THRESHOLD
from posekit.cli.predict.check import check_installation
from posekit.cli.predict.inputs import find_boxes, find_images, split_videos
from posekit.cli.predict.outputs import Outputs
from posekit.cli.predict.people import predict_image
from posekit.cli.predict.video import output_name, predict_video
from posekit.errors import BoxError, ConfigError, ImageError
from posekit.geometry import Box
from posekit.prediction.detect import OnnxDetector, PoseDetector
from posekit.prediction.predictor import Predictor, load

Detector = Callable[[np.ndarray], Sequence[Box]]


def run(args: argparse.Namespace) -> None:
    """Predict all inputs and write the outputs; with `--check`, check the installation instead."""
    options = {name: getattr(args, name) for name in ("device", "decode", "backend", "precision")}
    if args.check:
        for line in check_installation(args.weights, **options):
            print(line)
        return
    if not args.inputs:
        raise ConfigError("nothing to predict: give at least one INPUT (image, folder or video), or --check")
    inputs, videos = split_videos(args.inputs)
    if videos:
        _require_video_options(args, videos, only_videos=not inputs)
    images = find_images(inputs)
    boxes = find_boxes(images, args.boxes, args.boxes_file, min_score=args.min_box_score)
    predictor = load(args.weights, **options)
    threshold = PROBABILITY_THRESHOLD if predictor.calibrated else PEAK_THRESHOLD
    min_score = threshold if args.min_score is None else args.min_score
    detect = _open_detector(predictor, args)
    predicted = _predict_videos(predictor, videos, args, detect, sure=threshold, min_score=min_score)
    if images:
        outputs = Outputs(
            args.out,
            args.save or DEFAULT_KINDS,
            images,
            predictor,
            weights=args.weights,
            boxes_file=args.boxes_file,
            min_score=min_score,
            show_boxes=bool(args.boxes or args.boxes_file),
        )
        _predict_images(predictor, images, boxes, detect, args.refine, outputs)
    elif not predicted:
        raise ImageError("no video could be read")


def _require_video_options(args: argparse.Namespace, videos: Sequence[str | int], *, only_videos: bool) -> None:
    if args.save and only_videos:
        raise ConfigError("--save applies to images only; videos always give NAME.overlay.mp4 and NAME.poses.jsonl: remove --save")
    if args.boxes_file:
        raise ConfigError("--boxes applies to images only; for a video, give the boxes in the first frame with --box")
    names = [output_name(video) for video in videos]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two videos have the same output name {name}: predict each into its own --out folder")


def _open_detector(predictor: Predictor, args: argparse.Namespace) -> Detector | None:
    if args.boxes or args.boxes_file or args.detect == "none":
        return None
    if args.detect in (None, "self"):
        from posekit.tasks.person_finder.finder import CentreFinder

        return PoseDetector(predictor, CentreFinder(device=str(predictor.device)))
    return OnnxDetector(args.detect, min_score=args.min_box_score)


def _predict_videos(
    predictor: Predictor,
    videos: Sequence[str | int],
    args: argparse.Namespace,
    detect: Detector | None,
    *,
    sure: float,
    min_score: float,
) -> int:
    """Predict all videos and return the number of videos that could be read."""
    predicted = 0
    for video in videos:
        try:
            summary = predict_video(
                predictor, video, args.out, boxes=args.boxes, detect=detect, smooth=args.smooth, sure=sure, min_score=min_score
            )
            print(summary)
            predicted += 1
        except ImageError as error:
            print(f"skipped: {error}", file=sys.stderr)
    return predicted


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
        raise ImageError("no image could be predicted")
    outputs.print_summary()
