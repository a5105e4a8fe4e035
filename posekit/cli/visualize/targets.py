"""`posekit visualize targets`: what goes into anchor loss, for chosen joints of a person."""

import argparse

from posekit.cli.visualize.models import add_model_options, known_or_peaks, load_models
from posekit.cli.visualize.output import tell_written, write_picture
from posekit.cli.visualize.people import add_joint_option, add_people_options, joint_indices, open_split, views
from posekit.command_line import exponent
from posekit.drawing.penalty import most_penalised
from posekit.drawing.targets import target_figure
from posekit.files import writable_folder
from posekit.prediction.person_view import run_model

_DESCRIPTION = """\
What goes into anchor loss on a heatmap (figure 3 of the paper), a row for each joint: the target p; the
mask M of the true negatives, where p = 0; the circle of high confidence, where p > 0.5 (outlined), whose
highest prediction is the anchor q*; the prediction q; the modulator (1 + q - q*)^gamma; and the loss."""

_EPILOG = """\
examples:
  both wrists of an annotated person
    %(prog)s --weights W --data lsp --root data/lspet --split random:0.1111:0 --person 12 --joint left_wrist right_wrist
  one's own photograph
    %(prog)s photo.jpg --weights W --box 450,120,300,600 --keypoint left_wrist=512,300 --joint left_wrist"""

_SHOWN = 3


def add_targets(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "targets",
        help="target, mask, circle, prediction, modulator and loss of a joint (figure 3)",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_options(parser)
    parser.add_argument("--gamma", type=exponent, default=2.0, metavar="G", help="focusing exponent (default: %(default)g)")
    add_joint_option(parser, f"the {_SHOWN} with the highest penalties")
    add_people_options(parser)
    parser.set_defaults(run=_targets)


def _targets(args: argparse.Namespace) -> None:
    (whose, model), people = *load_models([args.weights], args.device).items(), open_split(args)
    out, joints = writable_folder(args.out), joint_indices(args.joints, model.info.skeleton)
    for name, view in views(args, people, model.info.skeleton):
        found = run_model(model, known_or_peaks(view, model, whose))
        chosen = joints or most_penalised([found], args.gamma, _SHOWN)
        tell_written(write_picture(target_figure(found, chosen, gamma=args.gamma, model=whose), out, f"{name}.targets"))
