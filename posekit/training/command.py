"""Parts shared by all training commands: the folder of a run, resuming, and the hint after an early stop."""

import argparse
import pkgutil
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

if TYPE_CHECKING:  # both import torch, which is slow and not needed for --help
    from accelerate import Accelerator

    from posekit.training.engine import Engine

NOTES = """\
Ctrl-C or SIGTERM writes a checkpoint and prints the command to resume the run; a second signal stops the run at once.
To train on N GPUs: torchrun --nproc-per-node N {tool} …
If a process dies, for example because memory runs out, the error message says how to resume the run."""
"""Last paragraph of the description of every training command."""

# Settings that a resumed run may change.
_MAY_CHANGE = ("train.epochs", "train.keep_epochs", *FREE_SETTINGS)


class Training(Protocol):
    """Training run of a task, with the data already opened."""

    config: Any

    def build_engine(self, *, out: Path, accelerator: "Accelerator", resume: bool) -> "Engine":
        """Build the engine, ready to run."""

    def summary(self, engine: "Engine") -> str:
        """Describe the data and the model, to print before training starts."""

    def finish(self, out: Path, engine: "Engine") -> None:
        """Evaluate the best weights; write and draw the results."""


@dataclass(frozen=True)
class TrainingCommand:
    """Definition of a training command.

    Parameters
    ----------
    description : str
        Description for the help text.
    config_class : type
        Configuration dataclass, with the fields `train` and `seed`.
    require_own : callable
        Called with the path of a configuration file; raises `ConfigError` if the file is for another command.
    training : str
        Module and name, MODULE:NAME, of the `Training` class, which is called with the configuration.
    """

    description: str
    config_class: type
    require_own: Callable[[Path], None]
    training: str


def run_training(command: TrainingCommand, argv: Sequence[str] | None, prog: str | None) -> int:
    """Run a training command; returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser: ConfigParser[Any] = ConfigParser(command.config_class, prog, command.description)
    if "-h" in argv or "--help" in argv:
        # These options are not configuration keys; `_run` parses them separately, so the parser needs them only for --help.
        _add_run_options(parser.parser, default=argparse.SUPPRESS)
        parser.parser.usage = "%(prog)s --config FILE [--out OUT] [--KEY VALUE …]\n       %(prog)s --resume --out OUT"
        parser.parser.print_help()
        return 0
    return guarded(parser.parser.prog, lambda: _run(command, parser, argv), debug="--debug" in argv)


def default_folder(config: Path) -> Path:
    """Return the default folder of a run: in runs/, named after the folder and name of the configuration file."""
    folder = config.absolute().parent.name
    return Path("runs") / (config.stem if folder == "configs" else f"{folder}-{config.stem}")


def _add_run_options(parser: argparse.ArgumentParser, **default: Any) -> None:
    parser.add_argument(
        "--config", **default, help="YAML configuration file, see configs/; override keys by options such as --train.epochs 5"
    )
    parser.add_argument(
        "--out", **default, help="folder of the run (default: in runs/, named after the configuration file and its folder)"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        **default,
        help="resume the run from OUT/last and OUT/config.yaml; on a CPU, the results are bit-identical",
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
        with accelerator.main_process_first():  # opening the data may write the synthetic data set
            training: Training = pkgutil.resolve_name(command.training)(config)
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
    """Read the configuration file, or the run's config.yaml to resume; if --config is also given, both must be equal."""
    from posekit.training.build import with_settled_precision

    def read(path: str | Path, overrides: Sequence[str] = ()) -> Any:
        return with_settled_precision(parser.read(path, overrides))

    path = out / "config.yaml" if options.resume else options.config
    command.require_own(path)
    config = read(path, overrides)
    if not options.resume:
        return config
    for key, (before, now) in changed_settings(read(path), config).items():
        if key not in _MAY_CHANGE:
            raise ConfigError(
                f"{key}: {out} was started with {before} and cannot be resumed with {now}; --resume can change "
                f"{', '.join(_MAY_CHANGE)}"
            )
    if options.config and read(options.config, overrides) != config:
        raise ConfigError(f"{out} was started with other settings than {options.config}: to resume, leave out --config")
    return config


def _resume_hint(prog: str, out: Path, processes: int) -> str:
    if not has_checkpoint(out):
        return "no checkpoint was written: start the run again"
    launcher = " (start it with torchrun, as before)" if processes > 1 else ""
    return f"resume with: {prog} --resume --out {shlex.quote(str(out))}{launcher}"


def has_checkpoint(out: Path) -> bool:
    """Whether the folder of a run has a checkpoint to resume from."""
    return (out / "last").exists() or (out / "last.old").exists()


def _run_folder(options: argparse.Namespace) -> Path:
    if not options.config and not (options.resume and options.out):
        raise ConfigError("expected --config FILE (see configs/) to start a run, or --resume --out FOLDER to resume one")
    out = Path(options.out or default_folder(Path(options.config)))
    if options.resume and not (out / "config.yaml").exists():
        raise ConfigError(f"{out}: no run to resume (config.yaml is missing); leave out --resume to start a run")
    if not options.resume and has_checkpoint(out):
        raise ConfigError(f"{out} already contains a run: add --resume to resume it, or choose another --out")
    return writable_folder(out)
