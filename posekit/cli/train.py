"""`posekit train`: train a pose model, evaluate it, draw what it predicts."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jsonargparse import ArgumentParser

from posekit import build
from posekit.cli.command import DEBUG_HELP, guarded
from posekit.cli.configuration import config_parser, parse_config, settled_config, write_config
from posekit.config import Config
from posekit.datasets.packed import cut
from posekit.drawing.pose import prediction_sheet
from posekit.drawing.training import training_curves
from posekit.errors import ConfigError, DataError
from posekit.evaluation import Scores, mean_pose, score, write_metrics
from posekit.files import writable_folder
from posekit.geometry import Crop
from posekit.images import write_image
from posekit.inference.predictor import Predictor
from posekit.predictions import Predictions, write_predictions
from posekit.sample import People
from posekit.training.engine import Engine
from posekit.training.log import read_run
from posekit.training.stops import Stopped, one_voice

_DESCRIPTION = """Train a pose model, evaluate it on the validation people, draw what it predicts.

  posekit train --config configs/quickstart.yaml
  posekit train --config configs/lspet/cpu_small.yaml --data.root DIR --train.epochs 5
  posekit train --resume --out runs/quickstart

Writes into OUT: config.yaml; metrics.csv and tensorboard/, a row per epoch; last/, to resume from;
best.safetensors and final.safetensors; metrics.json and predictions.h5 of the best weights; figures/.
Ctrl-C or SIGTERM writes a checkpoint and prints the command that goes on from it; another one, a second later, stops at once.
Several GPUs: torchrun --nproc-per-node N tools/train.py …
If a process dies, for want of memory say, the run ends with a line that tells how to go on from its last checkpoint."""
_DRAWN = 32


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = config_parser(prog, _DESCRIPTION)
    if {"-h", "--help"} & set(argv):
        _add_run_options(parser)  # they are no keys of a configuration file, so the parser knows them for its help alone
        parser.print_help()
        return 0
    return guarded(parser.prog, lambda: _run(parser, argv), debug="--debug" in argv)


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", help="YAML file, see configs/; every key can be overridden: --train.epochs 5")
    parser.add_argument("--out", help="folder of the run (default: runs/ and the configuration's folder and name)")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/last with OUT/config.yaml, bit for bit on a CPU")
    parser.add_argument("--debug", action="store_true", help=DEBUG_HELP)


@one_voice()
def _run(parser: ArgumentParser, argv: list[str]) -> None:
    run_options = argparse.ArgumentParser(prog=parser.prog, add_help=False, allow_abbrev=False)
    _add_run_options(run_options)
    options, overrides = run_options.parse_known_args(argv)
    out = _run_folder(options)
    parsed = parse_config(parser, out / "config.yaml" if options.resume else options.config, overrides)
    config = settled_config(parser, parsed)
    if options.resume and options.config and settled_config(parser, parse_config(parser, options.config, overrides)) != config:
        raise ConfigError(f"{out} was started with other settings than {options.config}: leave out --config to go on with its own")
    accelerator = build.build_accelerator(config)
    with accelerator.main_process_first():
        train, valid = build.build_people(config.data)
    yardstick = _mean_pose_scores(train, valid)
    engine = build.build_engine(config, train, valid, out=out, accelerator=accelerator, resume=options.resume)
    if accelerator.is_main_process:
        write_config(parser, parsed, out / "config.yaml")
        print(_summary(config, engine, train, valid, yardstick))
    try:
        engine.run()
    except Stopped as stop:
        stop.args = (f"{stop}; {_way_on(parser.prog, out, accelerator.num_processes)}",)
        raise
    accelerator.end_training()
    if engine.accelerator.is_main_process:
        _finish(out, train, valid, engine, yardstick)


def _way_on(prog: str, out: Path, processes: int) -> str:
    if not _has_checkpoint(out):
        return "no checkpoint is written yet: start it again"
    together = ", through torchrun as before" if processes > 1 else ""
    return f"go on with: {prog} --resume --out {shlex.quote(str(out))}{together}"


def _has_checkpoint(out: Path) -> bool:
    return any((out / name).exists() for name in ("last", "last.old"))


def _mean_pose_scores(train: People, valid: People) -> Scores:
    scores = score(valid, mean_pose(train, valid))
    if not scores.n_persons:
        raise DataError(
            f"{valid.name} {valid.split}: nobody has a {scores.reference}, so PCK cannot be told; choose another data.valid"
        )
    return scores


def _run_folder(options: argparse.Namespace) -> Path:
    if not options.config and not (options.resume and options.out):
        raise ConfigError("give --config FILE (try configs/quickstart.yaml), or --resume --out FOLDER to go on with a run")
    out = Path(options.out or _default_folder(Path(options.config)))
    if options.resume and not (out / "config.yaml").exists():
        raise ConfigError(f"{out}: no run to resume here (it has no config.yaml); leave out --resume to start one")
    if not options.resume and _has_checkpoint(out):
        raise ConfigError(f"{out} already holds a run: add --resume to go on with it, or choose another --out")
    return writable_folder(out)


def _default_folder(config: Path) -> Path:
    folder = config.absolute().parent.name
    return Path("runs") / (config.stem if folder == "configs" else f"{folder}-{config.stem}")


def _summary(config: Config, engine: Engine, train: People, valid: People, yardstick: Scores) -> str:
    parameters = sum(parameter.numel() for parameter in engine.plain_model.parameters())
    model, loss = config.model, config.loss
    network = f"{model.stacks} stack(s) of {model.features} features" + f" on {model.encoder}" * bool(model.encoder)
    return (
        f"train: {_described(train)}\nvalid: {_described(valid)}; {yardstick.n_persons:,} can be scored\n"
        f"model: {network}, {parameters / 1e6:.2f} M parameters, "
        f"{model.input_size} px; loss: {loss.name}; device: {engine.accelerator.device}\n"
        f"to beat: the mean pose has {yardstick.metric} {yardstick.pooled_mean:.2f}"
    )


def _described(people: People) -> str:
    left_out = "".join(f"; {count:,} left out: {reason}" for reason, count in people.left_out.items())
    return f"{len(people):,} people of {people.name} {people.split}{left_out}"


def _finish(out: Path, train: People, valid: People, engine: Engine, yardstick: Scores) -> None:
    weights = out / "best.safetensors"
    predictor = Predictor(weights, device=str(engine.accelerator.device))
    predictions = predictor.predict_people(valid)
    scores = score(valid, predictions)
    write_predictions(out / "predictions.h5", predictions)
    choices = {**predictor.choices, "mean_pose_pooled_mean": yardstick.pooled_mean}
    write_metrics(out, scores, weights=str(weights), choices=choices)
    figures = writable_folder(out / "figures")
    training_curves({out.name: read_run(out)}).savefig(figures / "training.png")
    write_image(figures / "validation.png", _drawn(valid, predictions, scores, predictor.info.input_size))
    print(f"\n{scores.table()}\n(the mean pose: {yardstick.pooled_mean:.2f})\n\nweights:  {weights}\npictures: {figures}")


def _drawn(people: People, predictions: Predictions, scores: Scores, size: int) -> np.ndarray:
    """Some validation people, drawn at random: prediction beside truth."""
    scored = np.flatnonzero(np.isfinite(predictions.joints).all((1, 2)) & ~scores.pck.left_out)
    chosen = np.random.default_rng(0).permutation(scored)[:_DRAWN]
    crops = [Crop(people[i].box, size) for i in chosen]
    predicted = np.array([crop.forward(predictions.joints[i]) for crop, i in zip(crops, chosen, strict=True)])
    return prediction_sheet(
        [cut(people[i], crop) for crop, i in zip(crops, chosen, strict=True)],
        {"prediction": (predicted, scores.pck.correct[chosen])},
        np.array([crop.forward(people.joints[i]) for crop, i in zip(crops, chosen, strict=True)]),
        people.labelled[chosen],
        people.skeleton,
    )
