"""Options and help texts of `posekit visualize`. Nothing here loads torch, so that --help is quick."""

import argparse
from pathlib import Path

from posekit.choices import DATASETS
from posekit.command_line import add_source_options, box, exponent, positive, probability
from posekit.weights import DEFAULT

PENALTY_JOINTS = 4
TARGET_JOINTS = 3
SAMPLE_SIZE = 8

_DESCRIPTION = """\
Show what the loss does to a model, and what the model predicts.

Images are written as PNG, plots as PNG, SVG and PDF. The functions behind them are in posekit.drawing."""

_PENALTY = """\
Penalty maps (figure 7 of the paper): how much more anchor loss charges than binary cross entropy, drawn over the
image, joint by joint. It charges more where a wrong place scores higher than the true one: on the other wrist, on
another person, on anything that looks like the joint.

For a data set without --person, numbers over all people: how much of the penalty falls on the opposite joint, on
the same joint of other annotated people, and elsewhere; for two models also their difference."""

_PENALTY_EPILOG = """\
examples:
  how the penalty moves while a model learns (train with --train.keep_epochs "[1, 5, 20]")
    %(prog)s --weights runs/lspet/epochs/*.safetensors --data lsp --root data/lspet --split random:0.1111:0 --person 12
  the paper's claim in numbers, for two models
    %(prog)s --weights runs/bce/best.safetensors runs/al/best.safetensors --data lsp --root data/lspet --split random:0.1111:0
  your own image, with the true place of one joint
    %(prog)s photo.jpg --weights W --box 450,120,300,600 --keypoint left_wrist=512,300
  several exponents, and the modulator instead of the penalty
    %(prog)s photo.jpg --weights W --gamma 1 2 5 --view modulator

Every column has its own colour scale, labelled with its values. Where no joint of an image is annotated, the peaks
of the last model serve as the truth: the maps of the other models show where they disagree with it, and its own
penalty is 0 by definition."""

_LOSS = """\
The cost of background under anchor loss, cross entropy and focal loss (the paper's figures 2 and A-1).

The numbers come from the losses that training uses: each is the cost of one background pixel of probability q on
a map whose joint has probability q*, the anchor; gradients are autograd's."""

_LOSS_EPILOG = """\
examples:
  %(prog)s --out figures
  several exponents, a row for each, and an untrained beside a confident network
    %(prog)s --gamma 0.5 2 5 --anchor 0.05 0.95

what is written, each as .png, .svg and .pdf:
  OUT/loss            loss L on the left and gradient dL/dq on the right, against q
  OUT/loss-surface    anchor loss on the left and its ratio to cross entropy on the right, over q and q*

how to read it: to the right of its dot, where q = q*, a line of anchor loss lies above the dotted cross entropy,
since background that scores higher than the joint is charged more; to the left it lies below. Gradients cross
before the dot, because they also contain the growth of the factor (1 + q - q*)^gamma.

Cross entropy is -log(1 - q): BCE of one output, and the same curve as CE of a softmax over two classes."""

_TARGETS = """\
The parts of anchor loss on a heatmap (figure 3 of the paper), a row for each joint: the target p; the mask M of
the true negatives, where p = 0; the circle of high confidence, where p > 0.5 (outlined), whose highest prediction
is the anchor q*; the prediction q; the modulator (1 + q - q*)^gamma; and the loss."""

_TARGETS_EPILOG = """\
examples:
  both wrists of an annotated person
    %(prog)s --weights W --data lsp --root data/lspet --split random:0.1111:0 --person 12 --joint left_wrist right_wrist
  your own image
    %(prog)s photo.jpg --weights W --box 450,120,300,600 --keypoint left_wrist=512,300 --joint left_wrist"""

_PREDICTIONS = """\
The predictions of one or more models on the same people, side by side (figure 8 of the paper). Where people are
annotated, the annotation stands beside them, and every wrong joint is ringed and joined to its true place; wrong
means farther than the data set's own limit (half a head, or a fifth of the torso).

By default people are drawn at random, since a choice of people is a choice of the impression."""

_PREDICTIONS_EPILOG = """\
examples:
  eight people, drawn at random
    %(prog)s --weights runs/bce/best.safetensors runs/al/best.safetensors --data lsp --root data/lspet --split random:0.1111:0
  the people on whom the models differ most
    %(prog)s --weights A B --data lsp --root data/lspet --split random:0.1111:0 --pick difference
  your own images
    %(prog)s photo.jpg other.jpg --weights A B"""

_TRAINING = """\
Curves of one or more training runs against their epochs: training loss, validation PCK or error, hard images (figure 6
of the paper) or hard pixels and joints (the same for poses), learning rate. Unfinished runs are drawn as far as they are."""

_TRAINING_EPILOG = """\
examples:
  with and without anchor loss
    %(prog)s runs/lspet-anchor runs/lspet-bce --out figures
  the PCK of each joint group as well
    %(prog)s runs/lspet-anchor runs/lspet-bce --groups
  classifiers with and without a warm-up: figure 6
    %(prog)s runs/cifar-anchor runs/cifar-anchor-warm-up

the curves:
  training loss      mean over the epoch, as the optimizer sees it. Runs that differ in kind of loss, number of stacks,
                     input size or sigma have different scales: each gets its own panel
  validation PCK     in percent, of the weights as they are saved
  validation error   of a classifier, in percent; with more than ten classes also the top-5 error
  hard images        share of the training images in which a wrong class scores above the true one
  hard pixels        share of the background that scores above the anchor, the best score at the true joint:
                     anchor loss charges more than binary cross entropy there (modulator above 1)
  hard joints        share of the maps with at least one hard pixel
  learning rate      at the start of the epoch
A dotted line marks the end of a warm-up with another loss. A run without a number is missing from that panel.

what is written:
  OUT/training.png, .svg, .pdf
  OUT/groups.png, .svg, .pdf     with --groups: PCK of all joints and of each joint group"""

_COMPARISON = """\
Scores of the models that posekit compare has trained, a dot for every seed and a line for their mean: the paper's tables
1, 3, 6, 7 and A-1 as a figure. Only the results.yaml files of the comparisons are read."""

_COMPARISON_EPILOG = """\
examples:
  one comparison
    %(prog)s runs/compare-cifar100_tableA1/results.yaml
  runs shared between two machines
    %(prog)s here/results.yaml there/results.yaml --out figures

what is written:
  OUT/comparison.png, .svg, .pdf"""

_HEATMAPS = """\
All heatmaps of a person over the crop, as a contact sheet: every place that the model considers, not only the one it
chooses. A second peak is the double counting that anchor loss reduces."""

_HEATMAPS_EPILOG = """\
examples:
  %(prog)s photo.jpg --weights W --box 450,120,300,600
  two models, two annotated people, wrists only
    %(prog)s --weights A B --data lsp --root data/lspet --split random:0.1111:0 --person 12 40 --joint left_wrist right_wrist"""

_EXPLORE = """\
Open a page that shows the effect of anchor loss: set the true place of a joint by a click or a drag on the image, and
change gamma and the anchor; heatmap, mask, modulator and penalty map are updated, with their numbers.

The page is served to this machine alone, needs no network, and keeps images in memory only."""

_EXPLORE_EPILOG = """\
examples:
  upload images on the page; with the weights that come with posekit; with yours
    %(prog)s
    %(prog)s --weights runs/lspet/best.safetensors
  start with an image; for a script, or a machine without a browser
    %(prog)s --weights W runner.jpg --port 8090 --no-browser

It needs NiceGUI: pip install "nicegui>=3.18". Ctrl-C ends it."""


def build_parser(prog: str | None) -> argparse.ArgumentParser:
    """Build the parser; ``module`` of the arguments is the module that runs the subcommand."""
    parser = argparse.ArgumentParser(prog=prog, description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_penalty(commands)
    _add_loss(commands)
    _add_targets(commands)
    _add_predictions(commands)
    _add_training(commands)
    _add_comparison(commands)
    _add_heatmaps(commands)
    _add_explore(commands)
    return parser


def _add_command(
    commands: argparse._SubParsersAction, name: str, summary: str, description: str, epilog: str
) -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(name, help=summary, description=description, epilog=epilog, formatter_class=formatter)
    parser.set_defaults(module=f"posekit.cli.visualize.{name}")
    return parser


def _add_penalty(commands: argparse._SubParsersAction) -> None:
    summary = "where anchor loss charges more than cross entropy (figure 7)"
    parser = _add_command(commands, "penalty", summary, _PENALTY, _PENALTY_EPILOG)
    _add_model_options(parser, several="several, such as those of several epochs, are shown side by side")
    parser.add_argument(
        "--gamma", nargs="+", type=exponent, default=[2.0], metavar="G", help="focusing exponents, side by side (default: 2)"
    )
    parser.add_argument(
        "--view", choices=("penalty", "modulator"), default="penalty",
        help="the additional cost, or the factor of the cross entropy (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="over a data set: the first N people, and all others in their images"
    )
    _add_joint_option(parser, f"the {PENALTY_JOINTS} with the highest penalties")
    _add_people_options(parser)


def _add_loss(commands: argparse._SubParsersAction) -> None:
    summary = "loss and gradient against the background's probability, beside cross entropy and focal loss"
    parser = _add_command(commands, "loss", summary, _LOSS, _LOSS_EPILOG)
    _add_out(parser)
    parser.add_argument(
        "--gamma", dest="gammas", nargs="+", type=exponent, default=[2.0], metavar="G",
        help="focusing exponents of anchor loss and focal loss, 0 to 10 (default: 2)",
    )  # fmt: skip
    parser.add_argument(
        "--anchor", dest="anchors", nargs="+", type=probability, default=[0.1, 0.5, 0.9], metavar="Q",
        help="anchor probabilities q*, 0 to 1 (default: 0.1 0.5 0.9)",
    )  # fmt: skip


def _add_targets(commands: argparse._SubParsersAction) -> None:
    summary = "target, mask, circle, prediction, modulator and loss of a joint (figure 3)"
    parser = _add_command(commands, "targets", summary, _TARGETS, _TARGETS_EPILOG)
    _add_model_options(parser)
    parser.add_argument("--gamma", type=exponent, default=2.0, metavar="G", help="focusing exponent (default: %(default)g)")
    _add_joint_option(parser, f"the {TARGET_JOINTS} with the highest penalties")
    _add_people_options(parser)


def _add_predictions(commands: argparse._SubParsersAction) -> None:
    summary = "several models side by side on the same people (figure 8)"
    parser = _add_command(commands, "predictions", summary, _PREDICTIONS, _PREDICTIONS_EPILOG)
    _add_model_options(parser, several="one column each")
    parser.add_argument(
        "--pick", choices=("random", "difference"),
        help="people of a data set without --person: drawn at random, or those with the largest difference between the "
        "models' numbers of correct joints (default: random)",
    )  # fmt: skip
    parser.add_argument("--count", type=positive, metavar="N", help=f"how many people (default: {SAMPLE_SIZE})")
    _add_joint_option(parser, "all")
    _add_people_options(parser, keypoints=False)


def _add_training(commands: argparse._SubParsersAction) -> None:
    summary = "curves of training runs, with the share of hard images or pixels (figure 6)"
    parser = _add_command(commands, "training", summary, _TRAINING, _TRAINING_EPILOG)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders written by posekit train or train-classifier")
    _add_out(parser)
    parser.add_argument("--groups", action="store_true", help="draw the PCK of each joint group too")


def _add_comparison(commands: argparse._SubParsersAction) -> None:
    summary = "scores of compared models (tables 1, 3, 6, 7 and A-1 as a figure)"
    parser = _add_command(commands, "comparison", summary, _COMPARISON, _COMPARISON_EPILOG)
    parser.add_argument("results", nargs="+", type=Path, metavar="FILE", help="results.yaml written by posekit compare")
    _add_out(parser)


def _add_heatmaps(commands: argparse._SubParsersAction) -> None:
    parser = _add_command(commands, "heatmaps", "all heatmaps of a person as a contact sheet", _HEATMAPS, _HEATMAPS_EPILOG)
    _add_model_options(parser, several="one sheet each")
    _add_joint_option(parser, "all")
    _add_people_options(parser)


def _add_explore(commands: argparse._SubParsersAction) -> None:
    summary = "open a page on which to move keypoints, gamma and the anchor"
    parser = _add_command(commands, "explore", summary, _EXPLORE, _EXPLORE_EPILOG)
    parser.add_argument("image", nargs="?", type=Path, metavar="IMAGE", help="image to start with")
    _add_model_options(parser)
    parser.add_argument("--port", type=_port, default=0, metavar="P", help="port of the page (default: any free port)")
    parser.add_argument("--no-browser", action="store_true", help="print the page's address, and open no browser")


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("figures"), metavar="DIR", help="folder to write (default: %(default)s)")


def _add_model_options(parser: argparse.ArgumentParser, *, several: str = "") -> None:
    """Add options for weights and device; with `several`, which says how they are shown, more than one weights file."""
    text = f"weights file (.safetensors), or a name of weights that come with posekit (default: {DEFAULT})"
    if several:
        parser.add_argument("--weights", default=[DEFAULT], nargs="+", metavar="W", help=f"{text}; {several}")
    else:
        parser.add_argument("--weights", default=DEFAULT, metavar="W", help=text)
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:N (default: %(default)s)")


def _add_joint_option(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--joint", dest="joints", nargs="+", metavar="NAME", help=f"joints to show, or all (default: {default})")


def _add_people_options(parser: argparse.ArgumentParser, *, keypoints: bool = True) -> None:
    """Add options for images, annotated people and the output folder; with `keypoints`, also for true places in images."""
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="images without annotation")
    _add_out(parser)
    unannotated = parser.add_argument_group("images without annotation")
    unannotated.add_argument(
        "--box", type=box, metavar="x,y,w,h", help="rectangle around the person, in pixels (default: the whole image)"
    )
    parser.set_defaults(keypoints=[])
    if keypoints:
        unannotated.add_argument(
            "--keypoint", dest="keypoints", action="append", type=_keypoint, metavar="NAME=x,y",
            help="true place of a joint, in pixels of the image; repeatable",
        )  # fmt: skip
    annotated = parser.add_argument_group("people of a data set")
    add_source_options(annotated, DATASETS, required=False)
    annotated.add_argument(
        "--split", metavar="NAME", help="train, valid, test, all, random:FRACTION:SEED or random-rest:FRACTION:SEED"
    )
    annotated.add_argument(
        "--person", dest="persons", nargs="+", type=int, metavar="I",
        help="their numbers in the split, from 0: as in eval's report and lists",
    )  # fmt: skip


def _keypoint(text: str) -> tuple[str, tuple[float, float]]:
    name, _, place = text.partition("=")
    try:
        x, y = map(float, place.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=x,y, such as left_wrist=312,204") from None
    if not (abs(x) < 1e5 and abs(y) < 1e5):
        raise argparse.ArgumentTypeError(f"{text!r}: the pixels must be finite")
    return name, (x, y)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a port, 1 to 65535")
    return int(text)
