"""`posekit prepare release`: trained weights as one small file with its card."""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
import yaml

from benchmarks.measure import per_second, threads
from posekit.command_line import add_source_options
from posekit.data import WITH_PHOTOGRAPHS, open_people
from posekit.errors import ConfigError, DataError
from posekit.files import atomic_write, writable_folder
from posekit.images import write_image
from posekit.lab.release.card import ModelCard
from posekit.models import load_weights, save_weights
from posekit.people import People
from posekit.prediction.predictor import Predictor
from posekit.prediction.test_time import PLAIN, PYRAMID, TestTimeAugmentation
from posekit.scoring.calibrate import calibrate
from posekit.scoring.score import Scores, score
from posekit.weights import FOLDER

_DESCRIPTION = """\
Make trained weights ready to be passed on: half precision, in one small file, beside a card that tells what they were trained on,
what they may be used for, how good they are on people they have not seen (one look, mirrored, over six scales), and where they
fail, with a picture of failures. The very weights that are written are scored; on the same people the file learns what its peaks
are worth, so that a joint's score is the probability that it is right."""

_EPILOG = """\
example:
  %(prog)s --weights runs/lspet/best.safetensors --name lspet-small --data lsp --root data/lspet --split random:0.1111:0 \\
    --terms "For research use, as the data set."

what is written:
  OUT/NAME.safetensors   the weights; posekit.load("NAME") finds those in posekit/weights
  OUT/NAME.md, NAME.png  the card, and its picture of failures"""

_VIEWS = {"one look": PLAIN, "and mirrored": TestTimeAugmentation(flip=True), "six scales, mirrored": PYRAMID}
_DECODE = "dark"
_CROPS = 8


def add_release(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "release",
        help="trained weights in half precision, with a card of what they are worth",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--weights", required=True, type=Path, metavar="W", help="weights of a training run (.safetensors)")
    parser.add_argument("--name", required=True, help="what they are to be called")
    add_source_options(parser, WITH_PHOTOGRAPHS)
    parser.add_argument("--split", required=True, metavar="NAME", help="people that they were not trained on, as for eval")
    parser.add_argument("--terms", required=True, metavar="TEXT", help="what they may be used for: mostly what the data set may")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="folder to write (default: posekit's own)")
    parser.set_defaults(run=_release)


def _release(args: argparse.Namespace) -> None:
    path = release_path(args)
    model, info = load_weights(args.weights)
    people = open_people(args.data, args.root, args.split, skeleton=info.skeleton)
    info = info.with_notes(name=args.name, terms=args.terms)
    try:
        save_weights(path, model, info, half=True)
        scores = {name: _score(path, people, name, views) for name, views in _VIEWS.items()}
        found = {name: calibrate(each) for name, each in scores.items()}
        calibrations = {views.key: found[name][0] for name, views in _VIEWS.items()}
        save_weights(path, model, replace(info, calibrations=calibrations), half=True)
    except ValueError as error:
        raise DataError(f"{args.weights}: cannot be released ({error})") from error
    errors = ", ".join(f"{error:.3f} {name}" for name, (_, error) in found.items())
    settings = run_settings(args.weights)
    began = settings.get("model", {}).get("start_from")
    facts = {
        **({"went on from": began} if began else {}),
        "parameters": f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.2f} M",
        "file": f"{path.stat().st_size / 1e6:.1f} MB, half precision",
        "speed": _speed(path),
        "decoding": f"{_DECODE}, of the scores below",
        "scores of joints": f"probabilities of being right; expected calibration error on other people {errors}",
    }
    card = ModelCard(args.name, info, scores, facts, args.terms, yaml.safe_dump(settings, sort_keys=False) if settings else "")
    picture, sheet = path.with_suffix(".png"), card.failures_sheet()
    if sheet is not None:
        write_image(picture, sheet)
    with atomic_write(path.with_suffix(".md")) as unfinished:
        unfinished.write_text(card.text("" if sheet is None else picture.name), encoding="utf-8")
    print(f"{card.plain.table()}\n\nwrote {path} and its card, {path.with_suffix('.md')}")


def release_path(args: argparse.Namespace) -> Path:
    """The file of weights to be written: --name in --out."""
    if not args.name.replace("-", "").isalnum():
        raise ConfigError(f"--name {args.name}: letters, digits and hyphens only")
    return writable_folder(args.out) / f"{args.name}.safetensors"


def _score(path: Path, people: People, name: str, views: TestTimeAugmentation) -> Scores:
    print(f"scoring: {name}")
    return score(people, Predictor(path, views=views, decode=_DECODE).predict_people(people))


def _speed(path: Path) -> str:
    """People per second, from crops to joints, on one thread of this machine."""
    with threads(1):
        predictor = Predictor(path, device="cpu", decode=_DECODE)
        size = predictor.info.input_size
        crops = torch.randint(256, (_CROPS, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        people = _CROPS * per_second(lambda: predictor.predict_crops(crops))
    return f"{people:.0f} people/s on one core ({predictor.backend.name}), from crops to joints"


def run_settings(weights: Path) -> dict:
    """The configuration of the run that they come from, without where its data and the weights it began with lay."""
    path = weights.parent / "config.yaml"
    if not path.is_file():
        return {}
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        del settings["data"]["root"]
        if began := settings.get("model", {}).get("start_from"):
            settings["model"]["start_from"] = "/".join(Path(began).parts[-2:])
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: is no training run's configuration ({error})") from error
    return settings
