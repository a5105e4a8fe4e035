"""`posekit predict`: find people's keypoints in images and videos, and draw overlays."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from posekit.choices import BACKENDS, PRECISIONS
from posekit.command_line import box, new_parser, not_negative, probability, run_command, sigterm_interrupts
from posekit.weights import DEFAULT

_DESCRIPTION = """\
Find the keypoints of people in images and videos.

The model predicts one person at a time, inside a square box around the person. By default posekit finds
the people itself: a small network proposes boxes, and the model keeps the boxes that contain a person.
The small network misses small people. For faster and more accurate results, use a dedicated person detector
(--detect DETECTOR.onnx), or give the boxes yourself (--box, or --boxes with a file)."""

_EPILOG = """\
examples:
  find all people in an image
    %(prog)s runner.jpg --weights runs/lspet/best.safetensors --out poses
  one person who fills the image
    %(prog)s portrait.jpg --detect none
  find people with a detector that was exported to ONNX
    %(prog)s street.jpg --detect yolo11n.onnx
  two people in one image (give tight rectangles: posekit enlarges them by a quarter)
    %(prog)s street.jpg --weights W --box 40,60,120,310 --box 300,55,110,305
  images from a fixed camera: every --box applies to every image
    %(prog)s shots/*.jpg --weights W --box 200,80,400,600
  a folder of images, with boxes from a detector's file; write tables for a spreadsheet and for DeepLabCut
    %(prog)s shots --weights W --boxes detections.json --save csv,dlc,overlay
  a folder and its subfolders: put the pattern in quotes, so that posekit expands it
    %(prog)s "shots/**/*.jpg" --weights W
  write heatmaps, and a crop of each person
    %(prog)s street.jpg --weights W --boxes people.csv --save heatmaps --save crops
  a video; --box is the person's rectangle in the first frame
    %(prog)s street.mp4 --box 40,60,120,310 --smooth
  the first webcam
    %(prog)s 0
If a rectangle starts left of the image, write an equals sign: --box=-10,20,200,400

boxes (--boxes FILE):
  .json   COCO detection results: a list of {"image_id" or "file_name", "category_id", "bbox", "score"};
          or a COCO annotation file. File names for image ids come from a COCO annotation file in the same
          folder; without such a file, image_id 785 means 000000000785.jpg
  .csv    a table with the columns image,x,y,w,h or image,x,y,w,h,score
  Boxes are matched to images by file name. If FILE names images with their folders, the folders must match
  too. Images without boxes in FILE are treated as having no people.

detectors (--detect MODEL.onnx):
  supported models and the shapes or names of their outputs:
    YOLOv8, YOLO11          (1, 4 + classes, N)
    YOLOv5, YOLOv7          (1, N, 5 + classes)
    end-to-end YOLO models  (1, N, 6)
    RT-DETR                 labels, boxes, scores; or, exported by Ultralytics, (1, N, 4 + classes)
    SSD                     boxes, labels, scores
  People are the class named "person" in the model's metadata; without metadata, class 0 (for SSD, class 1).

videos:
  Each person is tracked from frame to frame. If no boxes are given, the detector runs on every 30th frame.
  Two files are written:
    NAME.overlay.mp4   the video with skeletons and person numbers; uncertain people in purple, with a question mark
    NAME.poses.jsonl   one JSON line per frame
  Frames that cannot be decoded are reported and skipped. After Ctrl-C or SIGTERM both files contain all frames
  processed so far. Videos with the same name need different output folders.

outputs for images (--save KIND):
  json      predictions.json      images (sizes after EXIF rotation), annotations (COCO keypoint results: x, y and
                                  score of each joint, 0-based image pixels) and categories (joint names, limbs);
                                  the list "annotations" can be loaded with pycocotools' loadRes
  dataset   dataset.json          a COCO data set for annotation tools (FiftyOne, CVAT): joints that score at
                                  least --min-score are marked as labelled; file names are relative to the
                                  folder of the images
  csv       predictions.csv       one row per joint: image,person,joint,x,y,score
  wide      predictions.wide.csv  one row per person: image, person, then x, y and score of each joint
  dlc       predictions.dlc.csv   a table in DeepLabCut's format: header rows scorer, (individuals,) bodyparts, coords
  h5        predictions.h5        HDF5: preds (N, K, 2), scores (N, K); image, person, size, box
  overlay   NAME.overlay.png      the image with skeletons: the person's left side orange, right side blue, middle
                                  white; several people are numbered; boxes given with --box or
                                  --boxes are drawn as the squares that the model used
  heatmaps  NAME.person-1.heatmaps.png  the heatmap of each joint, drawn over the person
  crops     NAME.person-1.crop.png      the part of the image inside the model's box
  People are numbered from 1 in each image, in the order of their boxes.

Images of more than 100 million pixels are drawn at half their resolution or less; images of more than
537 million pixels are not supported. An image is reported and skipped if it cannot be read, or if one of its
boxes lies wholly outside the image. If every image is skipped, the exit status is 1."""

LISTINGS = {
    "json": "predictions.json",
    "dataset": "dataset.json",
    "csv": "predictions.csv",
    "wide": "predictions.wide.csv",
    "dlc": "predictions.dlc.csv",
    "h5": "predictions.h5",
}
"""Output kinds that write one file for all images, and the name of each file."""
PICTURES = {"overlay": ".overlay.png", "heatmaps": ".heatmaps.png", "crops": ".crop.png"}
"""Output kinds that write images, and their file name endings; files with these endings in an input folder are skipped."""
DEFAULT_KINDS = ("json", "overlay")
PROBABILITY_THRESHOLD = 0.3
"""Default of `--min-score` for calibrated weights, whose joint scores are probabilities."""
PEAK_THRESHOLD = 0.1
"""Default of `--min-score` for other weights, whose joint scores are heatmap peaks."""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return the exit status."""
    with sigterm_interrupts():
        return run_command(_parser(prog), _run, argv)


def _run(args: argparse.Namespace) -> None:
    from posekit.cli.predict.run import run

    run(args)


def _parser(prog: str | None) -> argparse.ArgumentParser:
    parser = new_parser(prog, _DESCRIPTION, _EPILOG)
    add = parser.add_argument
    add(
        "inputs", nargs="*", metavar="INPUT",
        help='image, folder of images (without its subfolders), quoted pattern such as "shots/*.jpg", video, or webcam number',
    )  # fmt: skip
    add(
        "--weights", default=DEFAULT, metavar="W",
        help="a weights file (.safetensors, .onnx) or the name of bundled weights (default: %(default)s)",
    )  # fmt: skip
    add("--check", action="store_true", help="report installed versions and run a test prediction; needs no INPUT")
    _add_box_options(parser)
    add("--smooth", action="store_true", help="videos only: smooth the keypoints over time (One-Euro filter)")
    _add_output_options(parser)
    add(
        "--decode", choices=("dark", "quarter", "argmax"), default="dark",
        help="method to read a joint's position from its heatmap (default: %(default)s)",
    )  # fmt: skip
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N (default: %(default)s)")
    add("--backend", choices=BACKENDS, default="auto", help="inference backend (default: %(default)s)")
    add(
        "--precision", choices=PRECISIONS, default="no",
        help="numeric precision in PyTorch; no means float32 (default: %(default)s)",
    )  # fmt: skip
    return parser


def _add_box_options(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--box", dest="boxes", action="append", type=box, metavar="x,y,w,h",
        help="rectangle around one person, in pixels: left, top, width, height; repeat the option for more people",
    )  # fmt: skip
    source.add_argument(
        "--boxes", dest="boxes_file", type=Path, metavar="FILE",
        help="file with the people's boxes for each image, .json or .csv (see below)",
    )  # fmt: skip
    source.add_argument(
        "--detect", type=_detector, metavar="D",
        help="person detector: self (posekit's own), MODEL.onnx (a detector file, see below), or none (one person fills the image) "
        "(default: self)",
    )  # fmt: skip
    parser.add_argument(
        "--min-box-score", type=float, default=0.5, metavar="S",
        help="ignore boxes from --boxes and --detect MODEL.onnx that score below S; a box without a score has score 1 "
        "(default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--refine", type=not_negative, default=1, metavar="N",
        help="images only: to correct inexact boxes, repeat the prediction N times, each time in a box around the joints "
        "just found (default: %(default)s)",
    )  # fmt: skip


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("predictions"), metavar="DIR", help="output folder (default: %(default)s)")
    parser.add_argument(
        "--save", action="extend", type=_kinds, metavar="KIND",
        help="what to write (see below); separate several with commas or repeat the option: "
        f"{', '.join((*LISTINGS, *PICTURES))} (default: {','.join(DEFAULT_KINDS)})",
    )  # fmt: skip
    parser.add_argument(
        "--min-score", type=probability, metavar="S",
        help="omit joints that score below S from overlays and dataset.json; the other files contain all joints (default: "
        f"{PROBABILITY_THRESHOLD} for weights whose scores are probabilities, {PEAK_THRESHOLD} for other weights)",
    )  # fmt: skip


def _detector(text: str) -> str:
    if text not in ("self", "none") and not text.lower().endswith(".onnx"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected self, none, or the path of a detector's .onnx file")
    return text


def _kinds(text: str) -> list[str]:
    kinds = [kind.strip() for kind in text.split(",")]
    for kind in kinds:
        if kind not in LISTINGS and kind not in PICTURES:
            raise argparse.ArgumentTypeError(f"{kind!r}: choose from {', '.join((*LISTINGS, *PICTURES))}")
    return kinds
