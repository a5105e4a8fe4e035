"""`posekit visualize`: draw figures of losses, models, predictions and training runs."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from posekit.choices import DATASETS
from posekit.command_line import (
    add_source_options,
    add_subcommand,
    box,
    exponent,
    new_parser,
    positive,
    probability,
    run_command,
    run_subcommand,
)  # fmt: skip
from posekit.weights import DEFAULT

PENALTY_JOINTS = 4
TARGET_JOINTS = 3
SAMPLE_SIZE = 8

_DESCRIPTION = """\
Draw figures of losses, models, predictions and training runs.

Images are written as PNG, plots as PNG, SVG and PDF. For drawing from Python, see the functions in posekit.drawing."""

_PENALTY = """\
Draw penalty maps (figure 7 of the paper): anchor loss minus binary cross entropy at each pixel (0 where the
difference is negative), one map per joint, drawn over the image. Anchor loss is higher at wrong positions that score
higher than the joint's true position: on the opposite joint (for example the other wrist), on another person, or on
anything that looks like the joint.

For a data set without --person, the command instead measures the penalty over all people: the shares of the penalty
on the opposite joint, on the same joint of other annotated people, and elsewhere. For two models, the command also
prints the difference between the models."""

_PENALTY_EPILOG = """\
examples:
  penalty maps at several epochs of one run (trained with --train.keep_epochs "[1, 5, 20]")
    %(prog)s --weights runs/lspet/epochs/*.safetensors --data lsp --root data/lspet --split random:0.1111:0 --person 12
  measure the penalty over a data set, and compare two models
    %(prog)s --weights runs/bce/best.safetensors runs/al/best.safetensors --data lsp --root data/lspet --split random:0.1111:0
  your own image, with the true position of one joint
    %(prog)s photo.jpg --weights W --box 450,120,300,600 --keypoint left_wrist=512,300
  several values of gamma, and the modulator instead of the penalty
    %(prog)s photo.jpg --weights W --gamma 1 2 5 --view modulator

Every column has its own labelled colour scale. If no joint of an image is annotated, the heatmap peaks of the last
model serve as true positions: the penalty of the last model is then 0 by definition, and the maps of the other models
show where they disagree with the last model."""

_LOSS = """\
Plot the loss of a background pixel under anchor loss, cross entropy and focal loss (figures 2 and A-1 of the paper).

The values are computed with the loss functions used in training: the loss of one background pixel with predicted
probability q, on a heatmap whose joint has predicted probability q* (the anchor). Gradients are computed by autograd."""

_LOSS_EPILOG = """\
examples:
  %(prog)s --out figures
  several values of gamma (one row each), and the anchors of an untrained and of a confident network
    %(prog)s --gamma 0.5 2 5 --anchor 0.05 0.95

what is written, each as .png, .svg and .pdf:
  OUT/loss            loss L on the left and gradient dL/dq on the right, against q
  OUT/loss-surface    anchor loss on the left and its ratio to cross entropy on the right, over q and q*

how to read the loss curves: the dot on each anchor loss curve marks q = q*. To the right of the dot, anchor loss is
higher than cross entropy (dotted), because this background scores higher than the joint; to the left of the dot,
anchor loss is lower. The gradient curves cross to the left of the dot, because the gradient of anchor loss also
contains the derivative of the factor (1 + q - q*)^gamma.

Cross entropy is -log(1 - q): the BCE of one output, and equally the CE of a softmax over two classes."""

_TARGETS = """\
Draw the parts of anchor loss on a heatmap (figure 3 of the paper), one row per joint: the target p; the mask M of
true negatives (p = 0); the circle of high confidence (p > 0.5, outlined; the highest prediction in this circle is the
anchor q*); the prediction q; the modulator (1 + q - q*)^gamma; and the loss."""

_TARGETS_EPILOG = """\
examples:
  both wrists of an annotated person
    %(prog)s --weights W --data lsp --root data/lspet --split random:0.1111:0 --person 12 --joint left_wrist right_wrist
  your own image
    %(prog)s photo.jpg --weights W --box 450,120,300,600 --keypoint left_wrist=512,300 --joint left_wrist"""

_PREDICTIONS = """\
Draw the predictions of one or more models on the same people, side by side (figure 8 of the paper). For annotated
people, the annotation is drawn next to the predictions, and every wrong joint is marked with a ring and a line to its
true position. A joint is wrong if its error exceeds the threshold of the data set's metric: half a head size, or a
fifth of the torso length.

By default, people are chosen at random, because hand-picked people would give a biased impression."""

_PREDICTIONS_EPILOG = """\
examples:
  eight randomly chosen people
    %(prog)s --weights runs/bce/best.safetensors runs/al/best.safetensors --data lsp --root data/lspet --split random:0.1111:0
  the people on whom the models differ most
    %(prog)s --weights A B --data lsp --root data/lspet --split random:0.1111:0 --pick difference
  your own images
    %(prog)s photo.jpg other.jpg --weights A B"""

_TRAINING = """\
Plot curves of one or more training runs over the epochs: training loss, validation PCK or error, share of hard images (figure 6
of the paper; for pose models, hard pixels and hard joints), and learning rate. Unfinished runs are drawn up to their last epoch."""

_TRAINING_EPILOG = """\
examples:
  with and without anchor loss
    %(prog)s runs/lspet-anchor runs/lspet-bce --out figures
  also plot the PCK of each joint group
    %(prog)s runs/lspet-anchor runs/lspet-bce --groups
  classifiers with and without a warm-up (figure 6)
    %(prog)s runs/cifar-anchor runs/cifar-anchor-warm-up

the curves:
  training loss      mean over the epoch of the loss that the optimizer minimizes. Runs that differ in loss, number of
                     stacks, input size or sigma are drawn in separate panels, because their losses have different scales
  validation PCK     in percent, evaluated with the weights that are saved
  validation error   of classifiers, in percent; for more than ten classes also the top-5 error
  hard images        share of training images in which a wrong class scores higher than the true class
  hard pixels        share of background pixels that score higher than the anchor (the highest score near the true
                     joint); at these pixels, anchor loss is higher than binary cross entropy (modulator above 1)
  hard joints        share of heatmaps with at least one hard pixel
  learning rate      at the start of the epoch
A dotted line marks the end of a warm-up with another loss. A panel omits runs that did not log the quantity.

what is written:
  OUT/training.png, .svg, .pdf
  OUT/groups.png, .svg, .pdf     with --groups: PCK of all joints and of each joint group"""

_COMPARISON = """\
Plot the scores of models trained by posekit compare, as in tables 1, 3, 6, 7 and A-1 of the paper: a dot for each seed, and
a line for the mean over the seeds. Only the results.yaml files of the comparisons are read."""

_COMPARISON_EPILOG = """\
examples:
  one comparison
    %(prog)s runs/compare-cifar100_tableA1/results.yaml
  one comparison whose runs were trained on two machines
    %(prog)s here/results.yaml there/results.yaml --out figures

what is written:
  OUT/comparison.png, .svg, .pdf"""

_HEATMAPS = """\
Draw all heatmaps of a person over the crop, as a contact sheet. A heatmap shows every position that the model considers for
a joint, not only the predicted position. A second peak is double counting, an error that anchor loss reduces."""

_HEATMAPS_EPILOG = """\
examples:
  %(prog)s photo.jpg --weights W --box 450,120,300,600
  two models, two annotated people, wrists only
    %(prog)s --weights A B --data lsp --root data/lspet --split random:0.1111:0 --person 12 40 --joint left_wrist right_wrist"""

_EXPLORE = """\
Open an interactive web page that shows the effect of anchor loss. Set the true position of a joint by clicking or dragging
on the image, and change gamma and the anchor; the page updates the heatmap, mask, modulator and penalty map, and their values.

The page is available on this machine only, needs no network, and keeps images in memory only."""

_EXPLORE_EPILOG = """\
examples:
  use the default weights, and upload an image on the page
    %(prog)s
  use your own weights
    %(prog)s --weights runs/lspet/best.safetensors
  start with an image, on a fixed port, without opening a browser
    %(prog)s --weights W runner.jpg --port 8090 --no-browser

This command requires NiceGUI: pip install "nicegui>=3.18". Press Ctrl-C to stop the server."""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return the exit status."""
    return run_command(build_parser(prog), run_subcommand, argv)


def build_parser(prog: str | None) -> argparse.ArgumentParser:
    """Build the parser of the command and of its subcommands."""
    parser = new_parser(prog, _DESCRIPTION)
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


def _add_penalty(commands: argparse._SubParsersAction) -> None:
    summary = "penalty maps, which show where anchor loss is higher than cross entropy (figure 7)"
    parser = add_subcommand(commands, "penalty", f"{__name__}.penalty:penalty", summary, _PENALTY, _PENALTY_EPILOG)
    _add_model_options(parser, several="several weights, for example of several epochs, are drawn side by side")
    add = parser.add_argument
    add("--gamma", nargs="+", type=exponent, default=[2.0], metavar="G", help="focusing exponents, drawn side by side (default: 2)")
    add(
        "--view", choices=("penalty", "modulator"), default="penalty",
        help="penalty: anchor loss minus cross entropy, at least 0; modulator: their ratio (default: %(default)s)",
    )  # fmt: skip
    add("--limit", type=positive, metavar="N", help="without --person: measure only the images of the data set's first N people")
    _add_joint_option(parser, f"the {PENALTY_JOINTS} joints with the highest penalties")
    _add_people_options(parser)


def _add_loss(commands: argparse._SubParsersAction) -> None:
    summary = "curves of anchor loss, cross entropy and focal loss, and of their gradients (figures 2 and A-1)"
    parser = add_subcommand(commands, "loss", f"{__name__}.curves:loss", summary, _LOSS, _LOSS_EPILOG)
    _add_out(parser)
    parser.add_argument(
        "--gamma", dest="gammas", nargs="+", type=exponent, default=[2.0], metavar="G",
        help="focusing exponents of anchor loss and focal loss, from 0 to 10 (default: 2)",
    )  # fmt: skip
    parser.add_argument(
        "--anchor", dest="anchors", nargs="+", type=probability, default=[0.1, 0.5, 0.9], metavar="Q",
        help="anchors q*, probabilities from 0 to 1 (default: 0.1 0.5 0.9)",
    )  # fmt: skip


def _add_targets(commands: argparse._SubParsersAction) -> None:
    summary = "the parts of anchor loss for a joint: target, mask, circle, prediction, modulator, loss (figure 3)"
    parser = add_subcommand(commands, "targets", f"{__name__}.penalty:targets", summary, _TARGETS, _TARGETS_EPILOG)
    _add_model_options(parser)
    parser.add_argument("--gamma", type=exponent, default=2.0, metavar="G", help="focusing exponent (default: %(default)g)")
    _add_joint_option(parser, f"the {TARGET_JOINTS} joints with the highest penalties")
    _add_people_options(parser)


def _add_predictions(commands: argparse._SubParsersAction) -> None:
    function = f"{__name__}.predictions:predictions"
    summary = "predictions of several models on the same people, side by side (figure 8)"
    parser = add_subcommand(commands, "predictions", function, summary, _PREDICTIONS, _PREDICTIONS_EPILOG)
    _add_model_options(parser, several="several weights are drawn in one column each")
    parser.add_argument(
        "--pick", choices=("random", "difference"),
        help="without --person, how to choose people of the data set: at random, or the people with the largest difference "
        "between the models' numbers of correct joints (default: random)",
    )  # fmt: skip
    parser.add_argument("--count", type=positive, metavar="N", help=f"number of people to draw (default: {SAMPLE_SIZE})")
    _add_joint_option(parser, "all")
    _add_people_options(parser, keypoints=False)


def _add_training(commands: argparse._SubParsersAction) -> None:
    summary = "curves of training runs: loss, accuracy, share of hard images or pixels (figure 6)"
    parser = add_subcommand(commands, "training", f"{__name__}.curves:training", summary, _TRAINING, _TRAINING_EPILOG)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder written by posekit train or train-classifier")
    _add_out(parser)
    parser.add_argument("--groups", action="store_true", help="also plot the PCK of each joint group")


def _add_comparison(commands: argparse._SubParsersAction) -> None:
    summary = "scores of compared models as a figure (tables 1, 3, 6, 7 and A-1)"
    parser = add_subcommand(commands, "comparison", f"{__name__}.curves:comparison", summary, _COMPARISON, _COMPARISON_EPILOG)
    parser.add_argument("results", nargs="+", type=Path, metavar="FILE", help="results.yaml file written by posekit compare")
    _add_out(parser)


def _add_heatmaps(commands: argparse._SubParsersAction) -> None:
    summary = "all heatmaps of a person as a contact sheet"
    parser = add_subcommand(commands, "heatmaps", f"{__name__}.predictions:heatmaps", summary, _HEATMAPS, _HEATMAPS_EPILOG)
    _add_model_options(parser, several="for several weights, one contact sheet each")
    _add_joint_option(parser, "all")
    _add_people_options(parser)


def _add_explore(commands: argparse._SubParsersAction) -> None:
    summary = "open an interactive page to change keypoints, gamma and the anchor"
    parser = add_subcommand(commands, "explore", f"{__name__}.penalty:explore", summary, _EXPLORE, _EXPLORE_EPILOG)
    parser.add_argument("image", nargs="?", type=Path, metavar="IMAGE", help="image to start with")
    _add_model_options(parser)
    parser.add_argument("--port", type=_port, default=0, metavar="P", help="port of the page (default: any free port)")
    parser.add_argument("--no-browser", action="store_true", help="print the page's address instead of opening a browser")


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("figures"), metavar="DIR", help="output folder (default: %(default)s)")


def _add_model_options(parser: argparse.ArgumentParser, *, several: str = "") -> None:
    """Add `--weights` and `--device`. With `several`, the end of the help text, `--weights` accepts several files."""
    text = f"a weights file (.safetensors) or the name of bundled weights (default: {DEFAULT})"
    if several:
        parser.add_argument("--weights", default=[DEFAULT], nargs="+", metavar="W", help=f"{text}; {several}")
    else:
        parser.add_argument("--weights", default=DEFAULT, metavar="W", help=text)
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:N (default: %(default)s)")


def _add_joint_option(parser: argparse.ArgumentParser, default: str) -> None:
    text = f"names of the joints to draw, or the word all (default: {default})"
    parser.add_argument("--joint", dest="joints", nargs="+", metavar="NAME", help=text)


def _add_people_options(parser: argparse.ArgumentParser, *, keypoints: bool = True) -> None:
    """Add options for images, annotated people and the output folder; with `keypoints`, also `--keypoint`."""
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="image without annotation")
    _add_out(parser)
    unannotated = parser.add_argument_group("images without annotation")
    unannotated.add_argument(
        "--box", type=box, metavar="x,y,w,h", help="rectangle around the person, in pixels (default: the whole image)"
    )
    parser.set_defaults(keypoints=[])
    if keypoints:
        unannotated.add_argument(
            "--keypoint", dest="keypoints", action="append", type=_keypoint, metavar="NAME=x,y",
            help="true position of a joint, in image pixels; repeat the option for more joints",
        )  # fmt: skip
    annotated = parser.add_argument_group("people of a data set")
    add_source_options(annotated, DATASETS, required=False)
    annotated.add_argument(
        "--split", metavar="NAME",
        help="train, valid, test, all, random:FRACTION:SEED (some of the images) or random-rest:FRACTION:SEED (the other images)",
    )  # fmt: skip
    annotated.add_argument(
        "--person", dest="persons", nargs="+", type=int, metavar="I",
        help="numbers of the people in the split, counted from 0, as shown in the report of posekit eval",
    )  # fmt: skip


def _keypoint(text: str) -> tuple[str, tuple[float, float]]:
    name, _, place = text.partition("=")
    try:
        x, y = map(float, place.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=x,y, such as left_wrist=312,204") from None
    if not (abs(x) < 1e5 and abs(y) < 1e5):
        raise argparse.ArgumentTypeError(f"{text!r}: expected x and y between -100000 and 100000")
    return name, (x, y)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a port, 1 to 65535")
    return int(text)
