"""The console command `posekit COMMAND …`. The scripts tools/*.py run the same commands."""

import importlib
import signal
import sys
from collections.abc import Sequence

from posekit import __version__
from posekit.errors import PosekitError
from posekit.tasks import TASKS

HELP = {
    "train": "train a pose model",
    "train-classifier": "train an image classifier with one of the paper's losses",
    "train-detector": "train a person detector",
    "eval": "evaluate a model or a prediction file, compare two prediction files, write a report",
    "compare": "train several models, each with several seeds, and compare their scores",
    "predict": "find keypoints in images and videos",
    "visualize": "draw penalty maps, targets, predictions and the paper's figures",
    "prepare": "render, check, convert and pack data sets; release and convert weights",
    "export": "export a model to an ONNX file that maps crops to keypoints",
}
"""Summary of each command."""


def command_modules() -> dict[str, str]:
    """Return the module of each available command; a task's command is missing if the task's folder was removed."""
    modules = {command: f"posekit.cli.{command}" for command in HELP}
    for task in TASKS:
        modules[task.command] = f"posekit.tasks.{task.name}.cli"
        if not task.has("cli"):
            del modules[task.command]
    return modules


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command named by the first argument, and return the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    modules = command_modules()
    if argv and argv[0] in modules:
        return _run(argv[0], modules[argv[0]], argv[1:])
    if argv and argv[0] == "--version":
        print(f"posekit {__version__}")
        return 0
    print("usage: posekit COMMAND … (see posekit COMMAND --help)\n")
    width = max(len(command) for command in modules)
    for command in modules:
        print(f"  {command:<{width}}  {HELP[command]}")
    if not argv or argv[0] in ("-h", "--help"):
        return 0
    print(f"posekit: error: unknown command {argv[0]!r}", file=sys.stderr)
    return 2


def _run(command: str, module: str, argv: Sequence[str]) -> int:
    try:
        run = importlib.import_module(module).main
    except PosekitError as error:  # for example, OpenCV cannot be imported
        print(f"posekit {command}: error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:  # importing torch may take seconds
        print(f"posekit {command}: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    return run(argv, prog=f"posekit {command}")


if __name__ == "__main__":
    sys.exit(main())
