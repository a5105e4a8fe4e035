"""`posekit visualize heatmaps`: all maps of a person as a contact sheet."""

import argparse

from posekit.cli.visualize.models import add_model_options, load_models
from posekit.cli.visualize.output import file_name, tell_written, write_picture
from posekit.cli.visualize.people import add_joint_option, add_people_options, joint_indices, open_split, views
from posekit.drawing.heatmaps import heatmap_figure
from posekit.files import writable_folder
from posekit.prediction.person_view import run_model

_DESCRIPTION = """\
The heatmaps of a person over the crop, as a contact sheet: what the model considers, not only what it
decides. A second peak is the double counting that anchor loss is made against."""

_EPILOG = """\
examples:
  %(prog)s photo.jpg --weights W --box 450,120,300,600
  two models, two annotated persons, wrists alone
    %(prog)s --weights A B --data lsp --root data/lspet --split random:0.1111:0 --person 12 40 --joint left_wrist right_wrist"""


def add_heatmaps(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "heatmaps",
        help="all heatmaps of a person as a contact sheet",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_options(parser, several="each has a picture of its own")
    add_joint_option(parser, "all")
    add_people_options(parser)
    parser.set_defaults(run=_heatmaps)


def _heatmaps(args: argparse.Namespace) -> None:
    models, people = load_models(args.weights, args.device), open_split(args)
    out, skeleton = writable_folder(args.out), next(iter(models.values())).info.skeleton
    joints = joint_indices(args.joints, skeleton)
    for name, view in views(args, people, skeleton):
        for model, predictor in models.items():
            ending = f".{file_name(model)}" if len(models) > 1 else ""
            figure = heatmap_figure(run_model(predictor, view), joints, model=model)
            tell_written(write_picture(figure, out, f"{name}{ending}.heatmaps"))
