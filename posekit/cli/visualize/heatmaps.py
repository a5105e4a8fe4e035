"""`posekit visualize heatmaps`: all heatmaps of a person as a contact sheet."""

import argparse

from posekit.cli.visualize.models import load_models, shared_skeleton
from posekit.cli.visualize.output import file_name, write_png
from posekit.cli.visualize.people import joint_indices, open_split, person_views
from posekit.drawing.maps import heatmap_figure
from posekit.files import writable_folder
from posekit.prediction.person_view import run_model


def run(args: argparse.Namespace) -> None:
    """Draw one contact sheet per person and model."""
    models = load_models(args.weights, args.device)
    people = open_split(args)
    out = writable_folder(args.out)
    skeleton = shared_skeleton(models)
    joints = joint_indices(args.joints, skeleton)
    for name, view in person_views(args, people, skeleton):
        for model, predictor in models.items():
            suffix = f".{file_name(model)}" if len(models) > 1 else ""
            figure = heatmap_figure(run_model(predictor, view), joints, model=model)
            write_png(figure, out, f"{name}{suffix}.heatmaps")
