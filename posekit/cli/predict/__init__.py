"""`posekit predict`: keypoints and overlays of people in images and videos."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from posekit.choices import BACKENDS, PRECISIONS
from posekit.command_line import box, not_negative, probability, run_command, sigterm_interrupts
from posekit.weights import DEFAULT

_DESCRIPTION = """\
Find the keypoints of people in images and videos.

The model sees one person at a time, in a square box. Give each person's rectangle with --box, or a
detector's file with --boxes. Without them posekit finds people itself: a small network proposes
boxes, and the model keeps those that hold a person. It misses small people. A dedicated person
detector is faster and more accurate: --detect DETECTOR.onnx."""

_EPILOG = """\
examples:
  find everybody
    %(prog)s runner.jpg --weights runs/lspet/best.safetensors --out poses
  one person who fills the image
    %(prog)s portrait.jpg --detect none
  people found by a detector that was exported as ONNX
    %(prog)s street.jpg --detect yolo11n.onnx
  two people in one image; rectangles tight around them, which are enlarged by a quarter
    %(prog)s street.jpg --weights W --box 40,60,120,310 --box 300,55,110,305
  images from one fixed camera: every --box applies to every image
    %(prog)s shots/*.jpg --weights W --box 200,80,400,600
  a folder, with the boxes of a person detector; tables for a spreadsheet and for DeepLabCut's tools
    %(prog)s shots --weights W --boxes detections.json --save csv,dlc,overlay
  a folder and its subfolders: a pattern in quotes, which posekit expands
    %(prog)s "shots/**/*.jpg" --weights W
  the heatmaps, and each person cut out
    %(prog)s street.jpg --weights W --boxes people.csv --save heatmaps --save crops
  a video, in whose first frame the box holds a person; 0 instead of a file: the first webcam
    %(prog)s street.mp4 --box 40,60,120,310 --smooth
  a rectangle that starts left of the image needs an equals sign: --box=-10,20,200,400

boxes (--boxes FILE):
  .json   COCO detection results: a list of {"image_id" or "file_name", "category_id", "bbox", "score"},
          or a COCO annotation. An image_id is looked up in the annotation beside the file; without
          one, 785 is 000000000785.jpg
  .csv    a table with the columns image,x,y,w,h or image,x,y,w,h,score
  Boxes are matched to images by file name, and by folder if the file names one. An image
  without a box has no people.

detectors (--detect MODEL.onnx):
  YOLOv8, 11 (1, 4 + classes, N); YOLOv5, 7 (1, N, 5 + classes); end-to-end (1, N, 6); RT-DETR (labels, boxes, scores; or
  Ultralytics' table); SSD (boxes, labels, scores). People are class 0, of SSD 1, or the class that the file names "person".

videos:
  A box follows its person from frame to frame; without boxes, --detect searches for people in every 30th frame. The outputs are
  NAME.overlay.mp4 (people with their numbers; in purple with a question mark where the model is unsure) and NAME.poses.jsonl,
  a line for each frame. Frames that cannot be decoded are reported and skipped; after Ctrl-C or SIGTERM both files hold all
  frames until then. Two videos of the same name need two folders.

outputs for images (--save KIND):
  json      predictions.json      images (size as shown, after the EXIF rotation), annotations (COCO keypoint
                                  results: x, y, score for each joint, 0-based image pixels) and categories
                                  (joint names, limbs); pycocotools' loadRes reads the list "annotations"
  dataset   dataset.json          a COCO data set for annotation tools (FiftyOne, CVAT): joints of at least
                                  --min-score as if labelled; file names relative to the images' folder
  csv       predictions.csv       a row for each joint: image,person,joint,x,y,score
  wide      predictions.wide.csv  a row for each person: image,person, and x, y and score of each joint
  dlc       predictions.dlc.csv   DeepLabCut's table: rows scorer, (individuals,) bodyparts, coords
  h5        predictions.h5        HDF5: preds (N, K, 2), scores (N, K); image, person, size, box
  overlay   NAME.overlay.png      the skeletons drawn on the image: the person's left side orange, right
                                  side blue, middle white; numbered if there are several; boxes that were
                                  given are drawn as the model saw them
  heatmaps  NAME.person-1.heatmaps.png  each joint's heatmap over the person
  crops     NAME.person-1.crop.png      the image inside the model's box
  People are numbered from 1 in each image, in the order of their boxes.

Images of more than 100 million pixels are drawn at half their size or less; more than 537 million
are refused. An image that cannot be read, or does not overlap a box, is reported and skipped; exit
status 1 if none is left."""

LISTINGS = {
    "json": "predictions.json",
    "dataset": "dataset.json",
    "csv": "predictions.csv",
    "wide": "predictions.wide.csv",
    "dlc": "predictions.dlc.csv",
    "h5": "predictions.h5",
}
"""Kinds of output files that hold all images, and their names."""
PICTURES = {"overlay": ".overlay.png", "heatmaps": ".heatmaps.png", "crops": ".crop.png"}
"""Kinds of drawn output files, and how their names end; in a folder of inputs, such files are skipped."""
DEFAULT_KINDS = ("json", "overlay")
PROBABILITY_THRESHOLD = 0.3
"""Default of `--min-score` for weights whose scores are probabilities."""
PEAK_THRESHOLD = 0.1
"""Default of `--min-score` for weights whose scores are heatmap peaks."""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; returns the exit status."""
    with sigterm_interrupts():
        return run_command(_parser(prog), _run, argv)


def _run(args: argparse.Namespace) -> None:
    from posekit.cli.predict.run import run

    run(args)


def _parser(prog: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog, description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="images, folders of images (without subfolders), patterns in quotes; videos; the number of a webcam",
    )
    parser.add_argument(
        "--weights",
        default=DEFAULT,
        metavar="W",
        help="weights file (.safetensors, .onnx), or the name of weights that come with posekit (default: %(default)s)",
    )
    parser.add_argument("--check", action="store_true", help="report what is installed and test a prediction; needs no INPUT")
    _add_box_options(parser)
    parser.add_argument("--smooth", action="store_true", help="in videos: smooth the keypoints over time (One-Euro filter)")
    _add_output_options(parser)
    parser.add_argument(
        "--decode",
        choices=("dark", "quarter", "argmax"),
        default="dark",
        help="how a heatmap becomes a point (default: %(default)s)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N (default: %(default)s)")
    parser.add_argument("--backend", choices=BACKENDS, default="auto", help="what runs the model (default: %(default)s)")
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="no", help="number format in torch; no: float32 (default: %(default)s)"
    )
    return parser


def _add_box_options(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--box",
        dest="boxes",
        action="append",
        type=box,
        metavar="x,y,w,h",
        help="rectangle around one person: left, top, width, height in pixels; repeatable",
    )
    source.add_argument(
        "--boxes", dest="boxes_file", type=Path, metavar="FILE", help="a detector's rectangles for each image: .json or .csv"
    )
    source.add_argument(
        "--detect",
        type=_detector,
        metavar="D",
        help="how people are found: self, by posekit; MODEL.onnx, by this detector; none, one person fills the image "
        "(default: self)",
    )
    parser.add_argument(
        "--min-box-score",
        type=float,
        default=0.5,
        metavar="S",
        help="ignore boxes of --boxes and --detect MODEL.onnx with lower scores; a missing score is 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--refine",
        type=not_negative,
        default=1,
        metavar="N",
        help="in images: predict N more times, each time in the box around the joints found before, because boxes are rarely "
        "exact (default: %(default)s)",
    )


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("predictions"), metavar="DIR", help="output folder (default: %(default)s)")
    parser.add_argument(
        "--save",
        action="extend",
        type=_kinds,
        metavar="KIND",
        help=f"outputs, comma-separated or repeated: {', '.join((*LISTINGS, *PICTURES))} (default: {','.join(DEFAULT_KINDS)})",
    )
    parser.add_argument(
        "--min-score",
        type=probability,
        metavar="S",
        help="leave joints with lower scores out of overlays and dataset.json; the other files hold all joints (default: "
        f"{PROBABILITY_THRESHOLD} for weights whose scores are probabilities, {PEAK_THRESHOLD} for others)",
    )


def _detector(text: str) -> str:
    if text not in ("self", "none") and not text.lower().endswith(".onnx"):
        raise argparse.ArgumentTypeError(f"{text!r}: choose self, none, or a detector's .onnx file")
    return text


def _kinds(text: str) -> list[str]:
    kinds = [kind.strip() for kind in text.split(",")]
    for kind in kinds:
        if kind not in LISTINGS and kind not in PICTURES:
            raise argparse.ArgumentTypeError(f"{kind!r}: choose from {', '.join((*LISTINGS, *PICTURES))}")
    return kinds
