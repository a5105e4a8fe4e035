"""`posekit visualize penalty`: where anchor loss charges more than cross entropy."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from posekit.cli.visualize.models import add_model_options, known_or_peaks, load_models
from posekit.cli.visualize.output import tell_written, write_picture, write_plot
from posekit.cli.visualize.people import add_joint_option, add_people_options, joint_indices, open_split, views
from posekit.command_line import exponent, positive
from posekit.drawing.maps import MOST_COLUMNS
from posekit.drawing.penalty import most_penalised, penalty_figure
from posekit.drawing.person_view import PersonView
from posekit.drawing.style import SERIES
from posekit.errors import ConfigError
from posekit.files import atomic_write, writable_folder
from posekit.lab.penalty_study.bars import penalty_bars
from posekit.lab.penalty_study.study import EXPLANATION, PenaltyComparison, penalty_study
from posekit.people import People
from posekit.prediction.person_view import run_model
from posekit.prediction.predictor import Predictor

_DESCRIPTION = """\
Penalty maps (figure 7 of the paper): what anchor loss charges more than binary cross entropy, over the
photograph, joint by joint. It does so where a wrong place scores higher than the true one: on the other
wrist, on another person, on whatever looks like the joint.

Of a data set without --person, the numbers over everybody: how much of the penalty falls on the opposite
joint, on the same joint of other annotated persons, and on the rest; of two models, their difference too."""

_EPILOG = """\
examples:
  how the penalty moves while a model learns (train with --train.keep_epochs "[1, 5, 20]")
    %(prog)s --weights runs/lspet/epochs/*.safetensors --data lsp --root data/lspet --split random:0.1111:0 --person 12
  the paper's claim in numbers, for two models
    %(prog)s --weights runs/bce/best.safetensors runs/al/best.safetensors --data lsp --root data/lspet --split random:0.1111:0
  one's own photograph, with the truth of one joint given
    %(prog)s photo.jpg --weights W --box 450,120,300,600 --keypoint left_wrist=512,300
  several exponents, and the factor instead of the penalty
    %(prog)s photo.jpg --weights W --gamma 1 2 5 --view modulator

Every column has a colour scale of its own, with its values. Where nothing is known of a photograph, the
peaks of the last model stand for the truth: the maps of the others show where they disagree with it, and
its own penalty is 0 by definition."""

_SHOWN = 4


def add_penalty(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "penalty",
        help="where anchor loss charges more than cross entropy (figure 7)",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_options(parser, several="several, such as those of several epochs, are shown side by side")
    parser.add_argument(
        "--gamma", nargs="+", type=exponent, default=[2.0], metavar="G", help="focusing exponents, side by side (default: 2)"
    )
    parser.add_argument(
        "--view", choices=("penalty", "modulator"), default="penalty",
        help="what is charged more, or the factor of the cross entropy (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="over a data set: the first N persons, and whoever shares their photographs"
    )
    add_joint_option(parser, f"the {_SHOWN} with the highest penalties")
    add_people_options(parser)
    parser.set_defaults(run=_penalty)


def _penalty(args: argparse.Namespace) -> None:
    models, people = load_models(args.weights, args.device), open_split(args)
    out, skeleton = writable_folder(args.out), next(iter(models.values())).info.skeleton
    if people is not None and not args.persons and not args.photos:
        tell_written(_over_everybody(args, out, models, people))
        return
    if len(models) * len(args.gamma) > MOST_COLUMNS:
        raise ConfigError(f"{len(models)} models times {len(args.gamma)} exponents: at most {MOST_COLUMNS} stand side by side")
    if args.limit:
        raise ConfigError("--limit goes with a data set without --person")
    joints = joint_indices(args.joints, skeleton)
    for name, view in views(args, people, skeleton):
        tell_written(_figure(args, out, f"{name}.{args.view}", models, view, joints))


def _figure(args, out: Path, name: str, models: dict[str, Predictor], view: PersonView, joints: list[int] | None) -> list[Path]:
    whose, last = list(models.items())[-1]
    known = known_or_peaks(view, last, whose)
    if known is not view and len(models) == 1 and args.view == "penalty":
        print("a model's own peaks cost it nothing: give --keypoint, a second model's weights, or --view modulator")
    looks = {model: run_model(predictor, known) for model, predictor in models.items()}
    chosen = joints or most_penalised(list(looks.values()), args.gamma[0], _SHOWN)
    return write_picture(penalty_figure(looks, chosen, gammas=args.gamma, quantity=args.view), out, name)


def _over_everybody(args: argparse.Namespace, out: Path, models: dict[str, Predictor], people: People) -> list[Path]:
    if args.joints or args.view != "penalty" or args.box or args.keypoints or len(args.gamma) > 1:
        raise ConfigError(
            "over a data set all joints are counted, with one --gamma: leave out --joint, --view, --box and --keypoint"
        )
    if len(models) > len(SERIES):
        raise ConfigError(f"{len(models)} models: at most {len(SERIES)} can be told apart in one chart")
    if args.limit:
        people = people.select(np.isin(people.image_paths, people.image_paths[: args.limit]))
    studies = {}
    for name, model in models.items():
        studies[name] = penalty_study(model, people, gamma=args.gamma[0], progress=sys.stderr.isatty())
        print(f"{name}\n{studies[name].table()}\n")
    print(f"{EXPLANATION}\n")
    told = {"weights": dict(zip(models, args.weights, strict=True))}
    told["models"] = {name: study.to_dict() for name, study in studies.items()}
    if len({study.targets for study in studies.values()}) > 1:
        print("The models' maps differ, and with them what lies in a region: their numbers do not compare.\n")
    elif len(studies) == 2:
        difference = PenaltyComparison(*studies.values())
        print(difference.table(tuple(studies)) + "\n")
        told["difference"] = difference.to_dict()
    numbers = out / "penalty.json"
    with atomic_write(numbers) as unfinished:
        unfinished.write_text(json.dumps(told, indent=1), encoding="utf-8")
    groups = penalty_bars({name: study.group_rows("opposite") for name, study in studies.items()})
    regions = penalty_bars({name: study.regions for name, study in studies.items()})
    return [numbers, *write_plot(regions, out, "penalty-regions"), *write_plot(groups, out, "penalty-opposite")]
