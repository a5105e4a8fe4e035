"""`posekit visualize targets`: the parts of anchor loss, for chosen joints of a person."""

import argparse

from posekit.cli.visualize.models import load_models, truth_or_peaks
from posekit.cli.visualize.output import write_png
from posekit.cli.visualize.parser import TARGET_JOINTS
from posekit.cli.visualize.people import joint_indices, open_split, person_views
from posekit.drawing.maps import target_figure
from posekit.drawing.penalty import most_penalised
from posekit.files import writable_folder
from posekit.prediction.person_view import run_model


def run(args: argparse.Namespace) -> None:
    """Draw one figure per person."""
    ((name, model),) = load_models([args.weights], args.device).items()
    people = open_split(args)
    out = writable_folder(args.out)
    skeleton = model.info.skeleton
    joints = joint_indices(args.joints, skeleton)
    for person, view in person_views(args, people, skeleton):
        output = run_model(model, truth_or_peaks(view, model, name))
        shown = joints or most_penalised([output], args.gamma, TARGET_JOINTS)
        write_png(target_figure(output, shown, gamma=args.gamma, model=name), out, f"{person}.targets")
