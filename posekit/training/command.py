"""What all training commands share: the run's folder, resuming, and the hint when a run stops early."""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from posekit.command_line import DEBUG_HELP, guarded
from posekit.errors import ConfigError
from posekit.files import writable_folder
from posekit.training.config_files import FREE_SETTINGS, ConfigParser, changed_settings, write_config

if TYPE_CHECKING:  # both load torch, which --help does without
    from accelerate import Accelerator

    from posekit.training.engine import Engine

NOTES = """\
Ctrl-C or SIGTERM writes a checkpoint and prints the command that resumes from it; a second one stops at once.
Several GPUs: torchrun --nproc-per-node N {tool} …
If a process dies, for example for lack of memory, the run ends with a line that says how to resume."""
"""Last paragraph of every training command's description."""

# Settings that a resumed run may change.
_MAY_CHANGE = ("train.epochs", "train.keep_epochs", *FREE_SETTINGS)


class Training(Protocol):
    """One training run of a task, with its data opened."""

    config: Any

    def build_engine(self, *, out: Path, accelerator: "Accelerator", resume: bool) -> "Engine":
        """Build everything that trains, ready to run."""

    def summary(self, engine: "Engine") -> str:
        """Describe data and model, to be printed before training starts."""

    def finish(self, out: Path, engine: "Engine") -> None:
        """Score the best weights, write and draw the results."""


@dataclass(frozen=True)
class TrainingCommand:
    """A command that trains.

    Parameters
    ----------
    description : str
        For its help text.
    config_class : type
        Of its configuration, with `train` and `seed`.
    require_own : callable
        Raises `ConfigError` if a configuration file is for another command.
    open : callable
        Configuration -> `Training`. With several processes the first one calls it alone, since it may write data.
    """

    description: str
    config_class: type
    require_own: Callable[[Path], None]
    open: Callable[[Any], Training]


def run_training(command: TrainingCommand, argv: Sequence[str] | None, prog: str | None) -> int:
    """Run the command; returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser: ConfigParser[Any] = ConfigParser(command.config_class, prog, command.description)
    if "-h" in argv or "--help" in argv:
        _print_help(parser.parser)
        return 0
    return guarded(parser.parser.prog, lambda: _run(command, parser, argv), debug="--debug" in argv)


def default_folder(config: Path) -> Path:
    """Folder of a configuration's run: in runs/, named after the configuration's folder and file."""
    folder = config.absolute().parent.name
    return Path("runs") / (config.stem if folder == "configs" else f"{folder}-{config.stem}")


def _print_help(parser: argparse.ArgumentParser) -> None:
    # These options are no keys of a configuration file, so the parser knows them for its help alone.
    _add_run_options(parser, default=argparse.SUPPRESS)
    parser.usage = "%(prog)s --config FILE [--out OUT] [--KEY VALUE …]\n       %(prog)s --resume --out OUT"
    parser.print_help()


def _add_run_options(parser: argparse.ArgumentParser, **default: Any) -> None:
    parser.add_argument("--config", **default, help="YAML file, see configs/; every key can be overridden: --train.epochs 5")
    parser.add_argument("--out", **default, help="folder of the run (default: runs/ and the configuration's folder and name)")
    parser.add_argument(
        "--resume", action="store_true", **default, help="resume from OUT/last with OUT/config.yaml, bit for bit on a CPU"
    )
    parser.add_argument("--debug", action="store_true", **default, help=DEBUG_HELP)


def _run(command: TrainingCommand, parser: ConfigParser[Any], argv: list[str]) -> None:
    from posekit.training.build import build_accelerator
    from posekit.training.interrupts import Stopped, first_error_only

    run_options = argparse.ArgumentParser(prog=parser.parser.prog, add_help=False, allow_abbrev=False)
    _add_run_options(run_options)
    options, overrides = run_options.parse_known_args(argv)
    with first_error_only():
        out = _run_folder(options)
        config = _read_config(command, parser, options, out, overrides)
        accelerator = build_accelerator(config)
        with accelerator.main_process_first():
            training = command.open(config)
        engine = training.build_engine(out=out, accelerator=accelerator, resume=options.resume)
        if accelerator.is_main_process:
            write_config(config, out / "config.yaml")
            print(training.summary(engine))
        try:
            engine.run()
        except Stopped as stop:
            stop.args = (f"{stop}; {_resume_hint(parser.parser.prog, out, accelerator.num_processes)}",)
            raise
        accelerator.end_training()
        if accelerator.is_main_process:
            training.finish(out, engine)


def _read_config(command: TrainingCommand, parser: ConfigParser, options: argparse.Namespace, out: Path, overrides: list[str]):
    """Read the run's configuration. A resumed run reads its own, which a file given beside it must equal."""
    from posekit.training.build import with_settled_precision

    own = out / "config.yaml"
    path = own if options.resume else options.config
    command.require_own(path)
    config = with_settled_precision(parser.read(path, overrides))
    if options.resume:
        _require_unchanged(with_settled_precision(parser.read(own)), config, out)
    if options.resume and options.config and with_settled_precision(parser.read(options.config, overrides)) != config:
        raise ConfigError(f"{out} was started with other settings than {options.config}: leave out --config to use its own")
    return config


def _require_unchanged(started_with: Any, config: Any, out: Path) -> None:
    for key, (before, now) in changed_settings(started_with, config).items():
        if key not in _MAY_CHANGE:
            raise ConfigError(
                f"{key}: {out} was started with {before} and cannot be resumed with {now}; --resume can change "
                f"{', '.join(_MAY_CHANGE)}"
            )


def _resume_hint(prog: str, out: Path, processes: int) -> str:
    if not _has_checkpoint(out):
        return "no checkpoint has been written yet: start the run again"
    launcher = ", through torchrun as before" if processes > 1 else ""
    return f"resume with: {prog} --resume --out {shlex.quote(str(out))}{launcher}"


def _has_checkpoint(out: Path) -> bool:
    return (out / "last").exists() or (out / "last.old").exists()


def _run_folder(options: argparse.Namespace) -> Path:
    if not options.config and not (options.resume and options.out):
        raise ConfigError("give --config FILE (see configs/), or --resume --out FOLDER to resume a run")
    out = Path(options.out or default_folder(Path(options.config)))
    if options.resume and not (out / "config.yaml").exists():
        raise ConfigError(f"{out}: no run to resume here (it has no config.yaml); leave out --resume to start one")
    if not options.resume and _has_checkpoint(out):
        raise ConfigError(f"{out} already holds a run: add --resume to resume it, or choose another --out")
    return writable_folder(out)
