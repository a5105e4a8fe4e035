"""What the commands that train share: the run's folder, resuming, and what is said when a run is cut off."""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from accelerate import Accelerator
from jsonargparse import ArgumentParser

from posekit import build
from posekit.cli.command import DEBUG_HELP, guarded
from posekit.cli.configuration import FREE, changed_settings, config_parser, parse_config, settled_config, write_config
from posekit.errors import ConfigError
from posekit.files import writable_folder
from posekit.training.engine import Engine
from posekit.training.stops import Stopped, one_voice

WRITES = """\
Ctrl-C or SIGTERM writes a checkpoint and prints the command that goes on from it; another one, a second later, stops at once.
Several GPUs: torchrun --nproc-per-node N {tool} …
If a process dies, for want of memory say, the run ends with a line that tells how to go on from its last checkpoint."""
"""Of every command's description, after what is its own."""
# What a run that goes on may have more of.
_MAY_GROW = ("train.epochs", "train.keep_epochs")


class Training(Protocol):
    """What is trained, opened as its configuration says."""

    config: Any

    def build_engine(self, *, out: Path, accelerator: Accelerator, resume: bool) -> Engine:
        """Everything that trains, ready to run."""

    def summary(self, engine: Engine) -> str:
        """For the screen, before it starts."""

    def finish(self, out: Path, engine: Engine) -> None:
        """Score the best weights, write and draw what came of it, and tell."""


@dataclass(frozen=True)
class Command:
    """A command that trains.

    Parameters
    ----------
    description : str
        For its help.
    kind : type
        Of its configuration, with `train` and `seed`.
    open : callable
        Configuration -> `Training`. One process does it first, the others then: it may write data.
    """

    description: str
    kind: type
    open: Callable[[Any], Training]


def run_training(command: Command, argv: Sequence[str] | None, prog: str | None) -> int:
    """Run the command; returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = config_parser(prog, command.description, command.kind)
    if {"-h", "--help"} & set(argv):
        # They are no keys of a configuration file, so the parser knows them for its help alone.
        _add_run_options(parser, default=argparse.SUPPRESS)
        parser.usage = "%(prog)s --config FILE [--out OUT] [--KEY VALUE …]\n       %(prog)s --resume --out OUT"
        parser.print_help()
        return 0
    return guarded(parser.prog, lambda: _run(command, parser, argv), debug="--debug" in argv)


def _add_run_options(parser: argparse.ArgumentParser, **unset: Any) -> None:
    parser.add_argument("--config", **unset, help="YAML file, see configs/; every key can be overridden: --train.epochs 5")
    parser.add_argument("--out", **unset, help="folder of the run (default: runs/ and the configuration's folder and name)")
    resume = "go on from OUT/last with OUT/config.yaml, bit for bit on a CPU"
    parser.add_argument("--resume", action="store_true", **unset, help=resume)
    parser.add_argument("--debug", action="store_true", **unset, help=DEBUG_HELP)


@one_voice()
def _run(command: Command, parser: ArgumentParser, argv: list[str]) -> None:
    run_options = argparse.ArgumentParser(prog=parser.prog, add_help=False, allow_abbrev=False)
    _add_run_options(run_options)
    options, overrides = run_options.parse_known_args(argv)
    out = _run_folder(options)
    parsed, config = _configuration(command.kind, parser, options, out, overrides)
    accelerator = build.build_accelerator(config)
    with accelerator.main_process_first():
        training = command.open(config)
    engine = training.build_engine(out=out, accelerator=accelerator, resume=options.resume)
    if accelerator.is_main_process:
        write_config(parser, parsed, out / "config.yaml", command.kind)
        print(training.summary(engine))
    try:
        engine.run()
    except Stopped as stop:
        stop.args = (f"{stop}; {_way_on(parser.prog, out, accelerator.num_processes)}",)
        raise
    accelerator.end_training()
    if accelerator.is_main_process:
        training.finish(out, engine)


def _configuration(kind: type, parser: ArgumentParser, options: argparse.Namespace, out: Path, overrides: list[str]):
    """The run's configuration as parsed and as made: of one that is resumed its own, which a file that is named must equal."""
    own = out / "config.yaml"
    parsed = parse_config(parser, own if options.resume else options.config, overrides, kind)
    config = settled_config(parser, parsed, kind)
    if options.resume:
        _require_as_begun(settled_config(parser, parse_config(parser, own, kind=kind), kind), config, out)
    if options.resume and options.config:
        named = settled_config(parser, parse_config(parser, options.config, overrides, kind), kind)
        if named != config:
            raise ConfigError(
                f"{out} was started with other settings than {options.config}: leave out --config to go on with its own"
            )
    return parsed, config


def _require_as_begun(began: Any, config: Any, out: Path) -> None:
    for key, (before, now) in changed_settings(began, config).items():
        if key not in _MAY_GROW:
            raise ConfigError(
                f"{key}: {out} began with {before}, and goes on with it, not with {now}; what --resume takes are other "
                f"{', '.join((*_MAY_GROW, *FREE))}"
            )


def _way_on(prog: str, out: Path, processes: int) -> str:
    if not _has_checkpoint(out):
        return "no checkpoint is written yet: start it again"
    together = ", through torchrun as before" if processes > 1 else ""
    return f"go on with: {prog} --resume --out {shlex.quote(str(out))}{together}"


def _has_checkpoint(out: Path) -> bool:
    return any((out / name).exists() for name in ("last", "last.old"))


def _run_folder(options: argparse.Namespace) -> Path:
    if not options.config and not (options.resume and options.out):
        raise ConfigError("give --config FILE (see configs/), or --resume --out FOLDER to go on with a run")
    out = Path(options.out or default_folder(Path(options.config)))
    if options.resume and not (out / "config.yaml").exists():
        raise ConfigError(f"{out}: no run to resume here (it has no config.yaml); leave out --resume to start one")
    if not options.resume and _has_checkpoint(out):
        raise ConfigError(f"{out} already holds a run: add --resume to go on with it, or choose another --out")
    return writable_folder(out)


def default_folder(config: Path) -> Path:
    """Where a configuration's run is written: in runs/, by the names of its folder and itself."""
    folder = config.absolute().parent.name
    return Path("runs") / (config.stem if folder == "configs" else f"{folder}-{config.stem}")
