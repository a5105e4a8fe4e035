"""`posekit prepare`: render, check, convert and pack data sets; release and convert weights."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from posekit.choices import IMAGE_DATASETS, SYNTHETIC_FORMATS
from posekit.command_line import above_zero, add_source_options, add_subcommand, new_parser, positive, run_command, run_subcommand
from posekit.tasks import TASKS
from posekit.weights import FOLDER

# Defaults of `posekit.data.packing.Packing`, repeated here because importing that class imports torch.
PACK_SIDE = 608
PACK_MARGIN = 1.77
PACK_QUALITY = 95


_SYNTHETIC = """\
Render images of artificial people and write them as a data set in MPII, LSP or LSPET format.

Nothing is downloaded. Use the data set for first steps, for tests, and to study losses where the ground truth is
exact. A person's left and right limbs look alike: only the face, the feet, the chest and the bending direction of
the joints show which limb is which."""

_SYNTHETIC_EPILOG = """\
examples:
  2,000 people in MPII format (to be read with --data mpii)
    %(prog)s --out data/synthetic --people 2000
  a test set of other people
    %(prog)s --out data/synthetic-test --people 500 --seed 1
  2,000 people in LSP format (to be read with --data lsp)
    %(prog)s --out data/synthetic-lsp --format lsp

what is written:
  mpii    DIR/images/*.jpg, DIR/annot/mpii_human_pose_v1_u12_1.mat. There are slightly fewer images than people,
          because some images show two people. There is no official split: train on --split random-rest:0.1:0
          (nine tenths of the images) and validate on --split random:0.1:0 (the remaining tenth)
  lsp     DIR/images/im0001.jpg …, DIR/joints.mat (3, 14, N); the third row is 1 for occluded joints
  lspet   DIR/images/im00001.jpg …, DIR/joints.mat (14, 3, N); the third column is 1 for labelled joints
In every format, DIR/synthetic.json contains the options of the command.

The same options always give the same files, independent of --workers. If DIR already contains the same data set,
nothing is changed; if DIR contains anything else, the command fails. Rendering an image takes about 15 ms per
processor."""

_CHECK = """\
Check a data set before training on it.

The command prints a table with one line per check. The first column is the result:
  OK     no problem found
  LOOK   no decision: inspect the data yourself
  BAD    training would fail or learn something wrong
If any result is BAD, the exit status is 1."""

_CHECK_EPILOG = """\
examples:
  MPII's training and validation splits; also checks whether both splits contain the same images
    %(prog)s --data mpii --root data/mpii
  LSPET, divided at random into a training and a validation part
    %(prog)s --data lsp --root data/lspet --split random:0.9:1 random-rest:0.9:1
  your own annotation in COCO format
    %(prog)s --data coco --root mydata/annotations.json

checks of each split:
  people, repeated people      number of people, compared with the published number; number of people left out,
                               and why; people who are annotated twice
  images                       missing images, and images with an unreadable header (only headers are read)
  joints outside, at limits    labels outside their image; coordinates at exactly -1, 0 or the last pixel
  head boxes, or torsos        people without a head size (MPII) or torso length (other data sets), who cannot be
                               scored by PCKh or PCK
  coordinate base              labels that are all off by one pixel, because 1-based coordinates were read as
                               0-based or vice versa (image sizes help to decide)
  left and right               left and right swapped in the whole data set; single people whose shoulders and hips
                               have opposite left-right order
  joint order                  joints that are in a different order than expected
If several splits are checked, images that appear in two splits are reported too.

what is written:
  OUT/check.png                randomly chosen people, drawn with the names of all joints: check them by eye"""

_CONVERT = """\
Convert the annotation of a data set to another format, without MATLAB. MPII (in any of its formats), LSP and LSPET can be
converted to COCO keypoints; MPII also to the HDF5 format of the stacked hourglass authors."""

_CONVERT_EPILOG = """\
examples:
  MPII's .mat file to COCO keypoints (to be read with --data coco --root data/mpii/valid.json)
    %(prog)s --data mpii --root data/mpii --split valid --to coco --out data/mpii/valid.json
  MPII's .mat file to HDF5, for programs that read the hourglass authors' files
    %(prog)s --data mpii --root data/mpii --split train --to h5 --out hourglass/annot/train.h5
  LSPET to COCO keypoints
    %(prog)s --data lsp --root data/lspet --to coco --out data/lspet/lspet_train.json

what is written:
  coco    keypoints: 0-based pixels; visibility 0: not labelled, 1: hidden, 2: visible
          bbox: the person's square box, divided by 1.25, because --data coco multiplies boxes by 1.25
          area: area of the tight bounding box of the labelled joints
          width, height: size of the image, 0 if the image does not exist
          head_size: reference size of PCKh, if known
  h5      part, visible, center, scale (adjusted for the crop), normalize, imgname; 1-based pixels
The file contains the same people that the other commands read with --data, --root and --split. MPII's valid split
uses the evaluation file (detections_our_format.mat) if that file is next to the annotation. If FILE's name contains
train, valid or test (for example lspet_train.json), the same word can be used as --split when FILE is read."""

_PACK = """\
Write the crop and annotation of every person into one HDF5 file, to train without reading thousands of image files.

Joints and boxes remain in pixels of the original images. Training, prediction and evaluation give the same results
as with the original images, except for JPEG artifacts and for large people, whose crops are downscaled."""

_PACK_EPILOG = """\
examples:
  LSPET
    %(prog)s --data lsp --root data/lspet --out data/lspet.h5
  MPII's training split, divided into files of at most 1 GB
    %(prog)s --data mpii --root data/mpii --split train --out data/mpii-train.h5 --part-size 1GB

using the packed file:
  in a command
    posekit eval --weights W --data packed --root data/lspet.h5 --split all
  in a training configuration
    {data: packed, path: lspet.h5, split: random:0.9:1}
  For a pack of several parts, give any one of the parts, or the pattern 'data/mpii-train-*.h5'.

what is written:
  FILE.h5                 the pack (with --part-size: FILE-000.h5, FILE-001.h5, …); data/README.md describes the format
  FILE.h5.unfinished      temporary crops, as large as the pack; after an interruption the same command resumes from them
A pack of all people can be read in any split: the data set's own splits or random:FRACTION:SEED.
An image file that is no larger than the JPEG of the person's crop is packed unchanged, without any loss."""

_RELEASE = """\
Write trained weights for distribution: one small file in half precision, with a model card. The card states the training
data, the terms of use, the accuracy on people not seen in training (from one view, with mirroring, and with six scales), and
typical failures, with an image of some failures.

The half-precision weights are evaluated, not the originals. The joints' scores are calibrated on the same people, so that
a score is the probability that the joint is correct."""

_RELEASE_EPILOG = """\
example:
  %(prog)s --weights runs/lspet/best.safetensors --name lspet-small --data lsp --root data/lspet --split random:0.1111:0 \\
    --terms "For research use, as the data set."

what is written:
  OUT/NAME.safetensors   the weights; if OUT is posekit/weights (the default), load them with posekit.load("NAME")
  OUT/NAME.md            the model card
  OUT/NAME.png           the image of failures shown in the card"""

_RELEASE_DETECTOR = """\
Write the weights of a trained person detector for distribution: one small file in half precision, with a model card. The card
states the training data, the terms of use, and how many people the detector finds in scenes of people not seen in training.
The half-precision weights are evaluated, not the originals."""

_RELEASE_DETECTOR_EPILOG = """\
example:
  %(prog)s --weights runs/lspet-people/best.safetensors --name lspet-people --root data --terms "For research use, as the data set."

what is written:
  OUT/NAME.safetensors   the weights; `posekit predict` uses posekit/weights/lspet-people.safetensors
  OUT/NAME.md            the model card
  OUT/NAME.png           detections in images of rendered people"""

_CONVERT_WEIGHTS = """\
Convert a published PyTorch checkpoint of the stacked hourglass (MPII, 16 joints) to a posekit weights file.

Supported checkpoints: bearpaw/pytorch-pose (checkpoint.pth.tar or model_best.pth.tar) and
princeton-vl/pytorch_stacked_hourglass. No code in the checkpoint is executed."""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return the exit status."""
    parser = new_parser(prog, "Render, check, convert and pack data sets; release and convert weights.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_synthetic(commands)
    _add_check(commands)
    _add_convert(commands)
    _add_pack(commands)
    _add_release(commands)
    if any(task.name == "person_finder" and task.has("cli") for task in TASKS):
        _add_release_detector(commands)
    _add_convert_weights(commands)
    return run_command(parser, run_subcommand, argv)


def _add_synthetic(commands: argparse._SubParsersAction) -> None:
    summary = "render people and write them as an MPII, LSP or LSPET data set"
    parser = add_subcommand(commands, "synthetic", f"{__name__}.run:render", summary, _SYNTHETIC, _SYNTHETIC_EPILOG)
    add = parser.add_argument
    add("--out", required=True, type=Path, metavar="DIR", help="output folder, new or empty")
    add("--people", type=int, default=2000, metavar="N", help="number of annotated people (default: %(default)s)")
    add("--seed", type=int, default=0, metavar="S", help="random seed, at least 0 (default: %(default)s)")
    add("--format", choices=SYNTHETIC_FORMATS, default="mpii", help="annotation format (default: %(default)s)")
    add("--workers", type=int, metavar="N", help="number of processes (default: one per processor)")


def _add_check(commands: argparse._SubParsersAction) -> None:
    summary = "check a data set before training on it"
    parser = add_subcommand(commands, "check", f"{__name__}.run:check_data", summary, _CHECK, _CHECK_EPILOG)
    add_source_options(parser, IMAGE_DATASETS)
    add = parser.add_argument
    add("--split", nargs="+", metavar="NAME", help="splits to check (default: the existing official splits)")
    add("--out", type=Path, metavar="DIR", help="output folder for check.png (default: runs/check-DATA-ROOTNAME)")


def _add_convert(commands: argparse._SubParsersAction) -> None:
    summary = "convert an MPII, LSP or LSPET annotation to COCO keypoints or HDF5"
    parser = add_subcommand(commands, "convert", f"{__name__}.run:convert", summary, _CONVERT, _CONVERT_EPILOG)
    add_source_options(parser, ("mpii", "lsp"))
    add = parser.add_argument
    add("--split", default="all", metavar="NAME", help="split to convert (default: %(default)s)")
    add("--to", required=True, choices=("coco", "h5"), help="output format")
    add("--out", required=True, type=Path, metavar="FILE", help="output file; must not exist yet")


def _add_pack(commands: argparse._SubParsersAction) -> None:
    summary = "pack all crops and annotations into one file"
    parser = add_subcommand(commands, "pack", f"{__name__}.run:pack", summary, _PACK, _PACK_EPILOG)
    add_source_options(parser, IMAGE_DATASETS)
    add = parser.add_argument
    add("--split", default="all", metavar="NAME", help="split to pack (default: %(default)s)")
    add("--out", required=True, type=Path, metavar="FILE.h5", help="output file; must not exist yet")
    add(
        "--side", type=positive, default=PACK_SIDE, metavar="PX",
        help="largest crop side in pixels; the default suits a model input of 256 px (default: %(default)s)",
    )  # fmt: skip
    add(
        "--margin", type=above_zero, default=PACK_MARGIN, metavar="M",
        help="crop side relative to the person's box; the default suits the default augmentation (default: %(default)s)",
    )  # fmt: skip
    encoding = parser.add_mutually_exclusive_group()
    encoding.add_argument("--quality", type=positive, default=PACK_QUALITY, metavar="Q", help="JPEG quality (default: %(default)s)")
    encoding.add_argument("--raw", dest="quality", action="store_const", const=0, help="store raw pixels instead of JPEGs")
    add("--part-size", type=_size, metavar="SIZE", help="divide the pack into files of at most this size, e.g. 60MB")
    add("--workers", type=positive, metavar="N", help="number of processes (default: one per processor)")


def _add_release(commands: argparse._SubParsersAction) -> None:
    summary = "publish trained weights: half precision, with a model card"
    parser = add_subcommand(commands, "release", "posekit.lab.release.pose_model:run", summary, _RELEASE, _RELEASE_EPILOG)
    add = parser.add_argument
    add("--weights", required=True, type=Path, metavar="W", help="weights file of a training run (.safetensors)")
    add("--name", required=True, help="name of the released weights")
    add_source_options(parser, IMAGE_DATASETS)
    add(
        "--split", required=True, metavar="NAME",
        help="split for the evaluation: people not used in training; same names as in eval",
    )  # fmt: skip
    _add_release_options(parser)


def _add_release_detector(commands: argparse._SubParsersAction) -> None:
    function = "posekit.lab.release.person_finder:run"
    summary = "publish the weights of a person detector, with a model card"
    parser = add_subcommand(commands, "release-detector", function, summary, _RELEASE_DETECTOR, _RELEASE_DETECTOR_EPILOG)
    add = parser.add_argument
    add(
        "--weights", required=True, type=Path, metavar="W",
        help="weights file written by train-detector; the run's config.yaml must be in the same folder",
    )  # fmt: skip
    add("--name", required=True, help="name of the released weights")
    add("--root", metavar="DIR", help="folder that contains the data sets (default: the same as in the training run)")
    _add_release_options(parser)


def _add_release_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--terms", required=True, metavar="TEXT", help="terms of use for the card, usually those of the data set")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="output folder (default: posekit/weights)")


def _add_convert_weights(commands: argparse._SubParsersAction) -> None:
    summary = "convert a published hourglass checkpoint to a posekit weights file"
    parser = add_subcommand(commands, "convert-weights", f"{__name__}.run:convert_weights", summary, _CONVERT_WEIGHTS)
    parser.add_argument("source", type=Path, metavar="CHECKPOINT", help="published .pth or .pth.tar file")
    parser.add_argument("target", type=Path, metavar="WEIGHTS", help="path of the .safetensors file to write")


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)(KB|MB|GB|)", text.upper().replace(" ", ""))
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a file size as a whole number of bytes, kB, MB or GB, such as 60MB")
    return int(match[1]) * {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}[match[2]]
