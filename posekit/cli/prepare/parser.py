"""Options and help texts of `posekit prepare`. Nothing here loads torch, so that --help is quick."""

import argparse
import re
from pathlib import Path

from posekit.choices import IMAGE_DATASETS, SYNTHETIC_FORMATS
from posekit.command_line import above_zero, add_source_options, positive
from posekit.tasks import TASKS
from posekit.weights import FOLDER

# Defaults of `posekit.data.pack.crops.Packing`, which loads torch.
PACK_SIDE = 608
PACK_MARGIN = 1.77
PACK_QUALITY = 95

ANNOTATION_SUFFIXES = {"coco": ".json", "h5": ".h5"}

_BYTES = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}

_SYNTHETIC = """\
Render people and write them as a genuine MPII, LSP or LSPET data set.

Nothing is downloaded: use this data set for a first try, for tests, and to study what a loss does where
the truth is known to the pixel. The left and the right limb of a person look alike; face, feet, chest
and the direction in which joints bend distinguish them."""

_SYNTHETIC_EPILOG = """\
examples:
  2,000 people, ready for --data mpii
    %(prog)s --out data/synthetic --people 2000
  other people for a test
    %(prog)s --out data/synthetic-test --people 500 --seed 1
  the same kind of images as Leeds Sports Pose, ready for --data lsp
    %(prog)s --out data/synthetic-lsp --format lsp

what is written:
  mpii    DIR/images/*.jpg, DIR/annot/mpii_human_pose_v1_u12_1.mat; nearly as many images as people, as
          some images show two; there is no official split: take --split random-rest:0.1:0 (nine tenths
          of the images) to train and --split random:0.1:0 (the others) to validate
  lsp     DIR/images/im0001.jpg …, DIR/joints.mat (3, 14, N); third row: occluded
  lspet   DIR/images/im00001.jpg …, DIR/joints.mat (14, 3, N); third column: labelled
  and DIR/synthetic.json with the options

The same options give the same files, whatever the number of workers. A folder that holds the same set
is left unchanged; a folder that holds anything else is an error. About 15 ms per image and processor."""

_CHECK = """\
Check a data set before training on it.

Each check is a line of the table: OK; LOOK if you should look at the data, or the check cannot decide; BAD if training
would fail or learn something wrong. The exit status is 1 if any result is BAD."""

_CHECK_EPILOG = """\
examples:
  MPII, its training and its validation split, and whether they share images
    %(prog)s --data mpii --root data/mpii
  the two parts into which LSPET is divided for training
    %(prog)s --data lsp --root data/lspet --split random:0.9:1 random-rest:0.9:1
  your own annotation in COCO's format
    %(prog)s --data coco --root mydata/annotations.json

checks of each split:
  people, repeated people      how many, against the published numbers; how many are left out, and why
  images                       missing images, and images whose header cannot be read (only headers are read)
  joints outside, at limits    labels outside their image; coordinates at exactly -1, 0 or the last pixel
  head boxes, or torsos        people that PCKh (MPII) or PCK (others) must leave out
  coordinate base              labels that are all one pixel off: a file that counts from 1 read as one that
                               counts from 0, or the reverse (image sizes help to decide)
  left and right               exchanged in the whole set, or shoulders against hips in single people
  joint order                  joints that are read in another order than the file's
and images that two splits share.

what is written:
  OUT/check.png                people drawn at random, with every joint's name, for you to look at"""

_CONVERT = """\
Write a data set's annotation in another format, without MATLAB: MPII (any format) or LSP and LSPET as COCO keypoints,
MPII as the stacked hourglass authors' HDF5."""

_CONVERT_EPILOG = """\
examples:
  MPII's .mat as COCO keypoints, to be read here with --data coco --root data/mpii/valid.json
    %(prog)s --data mpii --root data/mpii --split valid --to coco --out data/mpii/valid.json
  the same as HDF5, for programs that read the hourglass authors' files
    %(prog)s --data mpii --root data/mpii --split train --to h5 --out hourglass/annot/train.h5
  LSPET as COCO keypoints
    %(prog)s --data lsp --root data/lspet --to coco --out data/lspet/lspet_train.json

what is written:
  coco    0-based pixels; visibility 0 not labelled, 1 hidden, 2 visible; bbox: the square box divided by 1.25,
          so that the margin of --data coco restores the same box; area: of the labelled joints' tight box;
          width and height of the images that exist, otherwise 0; head_size (PCKh's) where it is known
  h5      part, visible, center, scale (adjusted for the crop), normalize, imgname; 1-based pixels
The people are those that --data reads; MPII's valid uses the evaluation file if it lies beside the annotation.
If FILE's name contains train, valid or test (lspet_train.json), --split accepts that word."""

_PACK = """\
Write every person's crop and annotation into one HDF5 file, for training without thousands of small files.

Joints and boxes stay in pixels of the images, so that training, prediction and scoring give the same results as
with the images themselves, except for what JPEG loses and for large people, who are scaled down."""

_PACK_EPILOG = """\
examples:
  LSPET
    %(prog)s --data lsp --root data/lspet --out data/lspet.h5
  MPII's training split, in parts that fit a limit for files
    %(prog)s --data mpii --root data/mpii --split train --out data/mpii-train.h5 --part-size 1GB

and then, with the file, any one of its parts or 'data/mpii-train-*.h5' as root:
    posekit eval --weights W --data packed --root data/lspet.h5 --split all
and in a training configuration: {data: packed, path: lspet.h5, split: random:0.9:1}

what is written:
  OUT                     or OUT's name with -000, -001, … with --part-size; data/README.md describes the format
  OUT.unfinished          crops while the command runs, as large as OUT; after an interruption the same command resumes
A pack of all people can be divided when it is read, into the data set's own splits and by random:FRACTION:SEED.
An image that is no larger than its crop's JPEG would be is packed unchanged: nothing is lost."""

_RELEASE = """\
Write trained weights for distribution: half precision, in one small file, with a model card that says what they were trained
on, what they may be used for, how good they are on people they have not seen (one view, mirrored, six scales), and where they
fail, with an image of failures. The written weights themselves are scored. On the same people the scores of joints are
calibrated, so that a score is the probability that the joint is correct."""

_RELEASE_EPILOG = """\
example:
  %(prog)s --weights runs/lspet/best.safetensors --name lspet-small --data lsp --root data/lspet --split random:0.1111:0 \\
    --terms "For research use, as the data set."

what is written:
  OUT/NAME.safetensors   the weights; posekit.load("NAME") loads those in posekit/weights
  OUT/NAME.md, NAME.png  the card, and its image of failures"""

_RELEASE_DETECTOR = """\
Write the weights of a trained person detector for distribution: half precision, in one small file, with a model card that says
what it was trained on, what it may be used for, and how many people it finds in scenes of other people. The written weights
themselves are scored."""

_RELEASE_DETECTOR_EPILOG = """\
example:
  %(prog)s --weights runs/lspet-people/best.safetensors --name lspet-people --root data --terms "For research use, as the data set."

what is written:
  OUT/NAME.safetensors   the weights; predict uses posekit/weights/lspet-people.safetensors
  OUT/NAME.md, NAME.png  the card, and detections in images of rendered people"""

_CONVERT_WEIGHTS = """\
Convert a published PyTorch checkpoint of the stacked hourglass (MPII, 16 joints) to a posekit weights file.

Supported are checkpoints of bearpaw/pytorch-pose (checkpoint or model_best .pth.tar) and of
princeton-vl/pytorch_stacked_hourglass. Nothing in the file is executed."""


def build_parser(prog: str | None) -> argparse.ArgumentParser:
    """Build the parser; ``module`` of the arguments is the module that runs the subcommand."""
    parser = argparse.ArgumentParser(prog=prog, description="Make, check, convert and pack data sets, release and convert weights.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_synthetic(commands)
    _add_check(commands)
    _add_convert(commands)
    _add_pack(commands)
    _add_release(commands)
    for task in TASKS:
        if task.name == "person_finder" and task.has("cli"):
            _add_release_detector(commands)
    _add_convert_weights(commands)
    return parser


def _add_command(
    commands: argparse._SubParsersAction, name: str, module: str, summary: str, description: str, epilog: str = ""
) -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(name, help=summary, description=description, epilog=epilog, formatter_class=formatter)
    parser.set_defaults(module=module)
    return parser


def _add_synthetic(commands: argparse._SubParsersAction) -> None:
    summary = "render people and write them as MPII, LSP or LSPET files"
    parser = _add_command(commands, "synthetic", "posekit.cli.prepare.synthetic", summary, _SYNTHETIC, _SYNTHETIC_EPILOG)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write; it must be new or empty")
    parser.add_argument("--people", type=int, default=2000, metavar="N", help="people to annotate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="random seed, 0 or more (default: %(default)s)")
    parser.add_argument("--format", choices=SYNTHETIC_FORMATS, default="mpii", help="annotation format (default: %(default)s)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one per processor)")


def _add_check(commands: argparse._SubParsersAction) -> None:
    summary = "check a data set before training on it"
    parser = _add_command(commands, "check", "posekit.cli.prepare.check", summary, _CHECK, _CHECK_EPILOG)
    add_source_options(parser, IMAGE_DATASETS)
    parser.add_argument("--split", nargs="+", metavar="NAME", help="splits to check (default: the official ones that exist)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for check.png (default: runs/check-DATA-ROOTNAME)")


def _add_convert(commands: argparse._SubParsersAction) -> None:
    summary = "write MPII, LSP or LSPET as COCO keypoints or HDF5"
    parser = _add_command(commands, "convert", "posekit.cli.prepare.convert", summary, _CONVERT, _CONVERT_EPILOG)
    add_source_options(parser, ("mpii", "lsp"))
    parser.add_argument("--split", default="all", metavar="NAME", help="split to write (default: %(default)s)")
    parser.add_argument("--to", required=True, choices=tuple(ANNOTATION_SUFFIXES), help="format to write")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="file to write; it must be new")


def _add_pack(commands: argparse._SubParsersAction) -> None:
    summary = "write all crops and annotation into one file"
    parser = _add_command(commands, "pack", "posekit.cli.prepare.pack", summary, _PACK, _PACK_EPILOG)
    add_source_options(parser, IMAGE_DATASETS)
    parser.add_argument("--split", default="all", metavar="NAME", help="split to pack (default: %(default)s)")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.h5", help="file to write; it must be new")
    parser.add_argument(
        "--side", type=positive, default=PACK_SIDE, metavar="PX",
        help="largest side of a crop; enough for 256 px (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--margin", type=above_zero, default=PACK_MARGIN, metavar="M",
        help="side of a crop relative to the person's box; enough for the default augmentation (default: %(default)s)",
    )  # fmt: skip
    encoding = parser.add_mutually_exclusive_group()
    encoding.add_argument("--quality", type=positive, default=PACK_QUALITY, metavar="Q", help="of the JPEGs (default: %(default)s)")
    encoding.add_argument("--raw", dest="quality", action="store_const", const=0, help="pixels instead of JPEGs")
    parser.add_argument("--part-size", type=_size, metavar="SIZE", help="split into files of at most this size, such as 60MB")
    parser.add_argument("--workers", type=positive, metavar="N", help="processes (default: one per processor)")


def _add_release(commands: argparse._SubParsersAction) -> None:
    summary = "write trained weights in half precision, with a model card"
    parser = _add_command(commands, "release", "posekit.lab.release.pose_model", summary, _RELEASE, _RELEASE_EPILOG)
    parser.add_argument("--weights", required=True, type=Path, metavar="W", help="weights of a training run (.safetensors)")
    parser.add_argument("--name", required=True, help="name of the released weights")
    add_source_options(parser, IMAGE_DATASETS)
    parser.add_argument("--split", required=True, metavar="NAME", help="people that they were not trained on, as for eval")
    _add_release_options(parser)


def _add_release_detector(commands: argparse._SubParsersAction) -> None:
    module = "posekit.lab.release.person_finder"
    summary = "the same for a person detector"
    parser = _add_command(commands, "release-detector", module, summary, _RELEASE_DETECTOR, _RELEASE_DETECTOR_EPILOG)
    parser.add_argument(
        "--weights", required=True, type=Path, metavar="W", help="weights of train-detector, beside the run's config.yaml"
    )
    parser.add_argument("--name", required=True, help="name of the released weights")
    parser.add_argument("--root", metavar="DIR", help="folder that the data's paths start from (default: the run's)")
    _add_release_options(parser)


def _add_release_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--terms", required=True, metavar="TEXT", help="terms of use: mostly those of the data set")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="folder to write (default: posekit's own)")


def _add_convert_weights(commands: argparse._SubParsersAction) -> None:
    module = "posekit.cli.prepare.convert_weights"
    summary = "convert a published hourglass checkpoint to a posekit weights file"
    parser = _add_command(commands, "convert-weights", module, summary, _CONVERT_WEIGHTS)
    parser.add_argument("source", type=Path, metavar="CHECKPOINT", help="the published .pth or .pth.tar file")
    parser.add_argument("target", type=Path, metavar="WEIGHTS", help="the .safetensors file to write")


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)(KB|MB|GB|)", text.upper().replace(" ", ""))
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r}: expected bytes, or a whole number of kB, MB or GB, such as 60MB")
    return int(match[1]) * _BYTES[match[2]]
