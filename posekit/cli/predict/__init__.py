"""`posekit predict`: keypoints and overlay pictures for photographs and videos."""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from posekit.choices import BACKENDS, PRECISIONS
from posekit.cli.predict.check import check_installation
from posekit.cli.predict.inputs import find_boxes, find_photographs, split_videos
from posekit.cli.predict.outputs import LISTINGS, PICTURES, Outputs
from posekit.cli.predict.people import Found, find_people
from posekit.cli.predict.video import VideoSummary, output_name, predict_video
from posekit.command_line import box, not_negative, probability, run_command, sigterm_interrupts
from posekit.errors import BoxError, ConfigError, ImageError
from posekit.geometry import Box
from posekit.prediction.detect.onnx_detector import OnnxDetector
from posekit.prediction.detect.pose_detector import PoseDetector
from posekit.prediction.predictor import Predictor, load
from posekit.weights import DEFAULT

_DESCRIPTION = """\
Find the keypoints of people in photographs and videos.

The model looks at one person in one square box. Give each person's rectangle with --box, or a
detector's file with --boxes; without them posekit looks for people itself: a small network proposes
boxes, and the model keeps those in which it sees someone. Small people are missed. A person detector
that you have does it better and faster: --detect DETECTOR.onnx."""

_EPILOG = """\
examples:
  everybody who is found
    %(prog)s runner.jpg --weights runs/lspet/best.safetensors --out poses
  one person who fills the picture
    %(prog)s portrait.jpg --detect none
  people found by a detector that was exported as ONNX
    %(prog)s street.jpg --detect yolo11n.onnx
  two people in one picture; rectangles tight around them, the model looks a quarter further
    %(prog)s street.jpg --weights W --box 40,60,120,310 --box 300,55,110,305
  photographs from one fixed camera: every --box holds for every photograph
    %(prog)s shots/*.jpg --weights W --box 200,80,400,600
  a folder, with the boxes of a person detector; tables for a spreadsheet and for DeepLabCut's tools
    %(prog)s shots --weights W --boxes detections.json --save csv,dlc,overlay
  a folder with all below it: a pattern in quotes, which posekit expands
    %(prog)s "shots/**/*.jpg" --weights W
  what the model considered, and each person cut out
    %(prog)s street.jpg --weights W --boxes people.csv --save heatmaps --save crops
  a video, one of whose people is where the box is in the first frame; 0 instead of a file: the first webcam
    %(prog)s street.mp4 --box 40,60,120,310 --smooth
  a rectangle that begins left of the picture needs an equals sign: --box=-10,20,200,400

where people are (--boxes FILE):
  .json   COCO detection results: a list of {"image_id" or "file_name", "category_id", "bbox", "score"},
          or a COCO annotation. An image_id is looked up in the annotation beside the file; without
          one, 785 is 000000000785.jpg
  .csv    a table that begins with image,x,y,w,h or image,x,y,w,h,score
  Boxes belong to the photograph of the same file name, and folder if the file names one. A photograph
  without a box has no people.

detectors (--detect MODEL.onnx):
  YOLOv8, 11 (1, 4 + classes, N); YOLOv5, 7 (1, N, 5 + classes); end-to-end (1, N, 6); RT-DETR (labels, boxes, scores; or
  Ultralytics' table); SSD (boxes, labels, scores). People are class 0, of SSD 1, or what the file itself calls "person".

videos:
  A box follows its person from frame to frame; without boxes, --detect looks for people in every 30th. Written are
  NAME.overlay.mp4 (people with their numbers; in purple with a question mark where the model is unsure) and NAME.poses.jsonl,
  a line for each frame. Frames that cannot be decoded are named and skipped; after Ctrl-C or SIGTERM both files hold all
  frames until then. Two videos of one name need two folders.

what is written of photographs (--save KIND):
  json      predictions.json      images (size as shown, after the EXIF turn), annotations (COCO keypoint
                                  results: x, y, score for each joint, 0-based image pixels) and categories
                                  (joint names, limbs); pycocotools' loadRes takes the list "annotations"
  dataset   dataset.json          a COCO data set for annotation tools (FiftyOne, CVAT): joints of at least
                                  --min-score as if labelled; file names relative to the photographs' folder
  csv       predictions.csv       a row for each joint: image,person,joint,x,y,score
  wide      predictions.wide.csv  a row for each person: image,person, and x, y and score of each joint
  dlc       predictions.dlc.csv   DeepLabCut's table: rows scorer, (individuals,) bodyparts, coords
  h5        predictions.h5        HDF5: preds (N, K, 2), scores (N, K); image, person, size, box
  overlay   NAME.overlay.png      the skeletons drawn on the photograph: the person's left side orange, right
                                  side blue, middle white; numbered where there are several; where boxes
                                  were given, a frame shows where the model looked
  heatmaps  NAME.person-1.heatmaps.png  each joint's heatmap over the person
  crops     NAME.person-1.crop.png      the photograph within the box where the model looked
  People are counted from 1 in each photograph, in the order of their boxes.

Photographs of more than 100 million pixels are drawn at half their size or less; more than 537 million
are refused. A photograph that cannot be read, or that a box misses, is named and skipped; exit status 1
if none is left."""

_SAVED = ("json", "overlay")
_PROBABLE, _PEAK = 0.3, 0.1


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; returns the exit status."""
    with sigterm_interrupts():
        return run_command(_parser(prog), _run, argv)


def _parser(prog: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog, description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="photographs, folders of photographs (not those below), patterns in quotes; videos; a webcam's number",
    )
    parser.add_argument(
        "--weights",
        default=DEFAULT,
        metavar="W",
        help="weights file (.safetensors, .onnx), or a name of what comes with posekit (default: %(default)s)",
    )
    parser.add_argument("--check", action="store_true", help="tell what is installed, and whether predicting works; needs no INPUT")
    _add_box_options(parser)
    parser.add_argument("--smooth", action="store_true", help="in videos: smooth the keypoints over time (One-Euro filter)")
    _add_output_options(parser)
    parser.add_argument(
        "--decode", choices=("dark", "quarter", "argmax"), default="dark", help="heatmap to point (default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N (default: %(default)s)")
    parser.add_argument("--backend", choices=BACKENDS, default="auto", help="what runs the model (default: %(default)s)")
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="no", help="what torch multiplies in; no: float32 (default: %(default)s)"
    )
    return parser


def _add_box_options(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--box",
        dest="boxes",
        action="append",
        type=box,
        metavar="x,y,w,h",
        help="rectangle around one person: left, top, width, height in pixels; may be repeated",
    )
    where.add_argument(
        "--boxes", dest="boxes_file", type=Path, metavar="FILE", help="a detector's rectangles for each photograph: .json or .csv"
    )
    where.add_argument(
        "--detect",
        type=_detector,
        metavar="D",
        help="what finds people: self, posekit; MODEL.onnx, a detector; none, one person fills the picture (default: self)",
    )
    parser.add_argument(
        "--min-box-score",
        type=float,
        default=0.5,
        metavar="S",
        help="boxes of --boxes and --detect MODEL.onnx that score less are left out; no score counts as 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--refine",
        type=not_negative,
        default=1,
        metavar="N",
        help="in photographs: look N times more, each time in the box of the joints found before, since boxes are rarely exact "
        "(default: %(default)s)",
    )


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("predictions"), metavar="DIR", help="folder to write (default: %(default)s)"
    )
    parser.add_argument(
        "--save",
        action="extend",
        type=_kinds,
        metavar="KIND",
        help=f"what to write, with commas between or repeated: {', '.join((*LISTINGS, *PICTURES))} (default: {','.join(_SAVED)})",
    )
    parser.add_argument(
        "--min-score",
        type=probability,
        metavar="S",
        help="joints that score less are neither drawn nor in dataset.json; the other files have them all (default: "
        f"{_PROBABLE} of weights whose scores are probabilities, {_PEAK} of others)",
    )


def _detector(text: str) -> str:
    if text not in ("self", "none") and not text.lower().endswith(".onnx"):
        raise argparse.ArgumentTypeError(f"{text!r}: choose self, none, or a detector's .onnx file")
    return text


def _kinds(text: str) -> list[str]:
    kinds = [kind.strip() for kind in text.split(",")]
    unknown = [kind for kind in kinds if kind not in (*LISTINGS, *PICTURES)]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r}: choose from {', '.join((*LISTINGS, *PICTURES))}")
    return kinds


def _run(args: argparse.Namespace) -> None:
    if args.check:
        for line in check_installation(args.weights, **_options(args)):
            print(line)
        return
    if not args.inputs:
        raise ConfigError("nothing to predict: name photographs, folders or videos, or give --check")
    stills, videos = split_videos(args.inputs)
    if args.save and videos and not stills:
        raise ConfigError("--save is for photographs: of a video NAME.overlay.mp4 and NAME.poses.jsonl are written; leave it out")
    args.save = args.save or _SAVED
    if videos and args.boxes_file:
        raise ConfigError("--boxes holds boxes of photographs; for a video give --box, where people are in its first frame")
    names = [output_name(video) for video in videos]
    twins = [name for name in names if names.count(name) > 1]
    if twins:
        raise ConfigError(f"two videos would both be written as {twins[0]}: predict them into two folders, with --out")
    photographs = find_photographs(stills)
    boxes = find_boxes(photographs, args)
    predictor = load(args.weights, **_options(args))
    sure = _PROBABLE if predictor.calibrated else _PEAK
    if args.min_score is None:
        args.min_score = sure
    detect = _find_detector(predictor, args)
    follow = partial(predict_video, boxes=args.boxes, detect=detect, smooth=args.smooth, sure=sure, min_score=args.min_score)
    followed = _predict_videos(lambda video: follow(predictor, video, args.out), videos)
    if photographs or not videos:
        find = partial(find_people, predictor, detect=detect, refine=args.refine)
        _predict_photographs(find, photographs, boxes, Outputs(predictor, photographs, args))
    elif not followed:
        raise ImageError("no video could be used")


def _options(args: argparse.Namespace) -> dict[str, str]:
    return {name: getattr(args, name) for name in ("device", "decode", "backend", "precision")}


def _find_detector(predictor: Predictor, args: argparse.Namespace) -> Callable[[np.ndarray], Sequence[Box]] | None:
    if args.boxes or args.boxes_file or args.detect == "none":
        return None
    if args.detect in (None, "self"):
        from posekit.tasks.person_finder.finder import CentreFinder

        return PoseDetector(predictor, CentreFinder(device=str(predictor.device)))
    return OnnxDetector(args.detect, min_score=args.min_box_score)


def _predict_videos(follow: Callable[[str | int], VideoSummary], videos: Sequence[str | int]) -> int:
    """Tell what came of each; how many could be used."""
    used = 0
    for video in videos:
        try:
            print(follow(video))
            used += 1
        except ImageError as error:
            print(f"skipped: {error}", file=sys.stderr)
    return used


def _predict_photographs(
    find: Callable[[Path, Sequence[Box] | None], Found],
    photographs: Sequence[Path],
    boxes: Sequence[Sequence[Box] | None],
    outputs: Outputs,
) -> None:
    failures, whole = 0, False
    try:
        for path, theirs in zip(tqdm(photographs, unit="photo", disable=_no_bar(photographs)), boxes, strict=True):
            try:
                found = find(path, theirs)
            except (ImageError, BoxError) as error:
                failures += 1
                tqdm.write(f"skipped: {_naming(path, error)}", file=sys.stderr)
                continue
            outputs.add(found)
        whole = True
    finally:  # what is done is kept, whatever stops the rest
        outputs.finish(whole=whole)
    _conclude(outputs, failures, len(photographs))


def _no_bar(photographs: Sequence[Path]) -> bool | None:
    return True if len(photographs) == 1 else None  # None: only on a terminal


def _naming(path: Path, error: Exception) -> str:
    return str(error) if str(path) in str(error) else f"{path}: {error}"


def _conclude(outputs: Outputs, failures: int, count: int) -> None:
    if failures:
        print(f"{failures} of {count} photographs skipped", file=sys.stderr)
    people, photographs = outputs.counts
    if not photographs:
        raise ImageError("no photograph could be used")
    print(f"people: {people}, photographs: {photographs}")
    if not people:
        print("nobody found; --box tells where a person is, --detect none takes whole pictures as boxes", file=sys.stderr)
    *others, last = map(str, outputs.paths())
    print(f"wrote {', '.join(others)}{' and ' * bool(others)}{last}")
