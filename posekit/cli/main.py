"""`posekit COMMAND …`: the same commands as tools/*.py."""

import importlib
import signal
import sys
from collections.abc import Sequence

from posekit import __version__
from posekit.errors import PosekitError

COMMANDS = {
    "train": "train a pose model",
    "train-classifier": "train a classifier under the paper's losses",
    "train-detector": "train a network that finds people in whole pictures",
    "eval": "score a model or a prediction file, compare two, write a report",
    "compare": "train models that differ in something with several seeds each: which is better",
    "predict": "find keypoints in photographs",
    "visualize": "see what the loss does: penalty maps, and every figure of the paper",
    "prepare": "make, check and convert data sets, convert weights",
    "export": "write a model as one ONNX file, from crops to joints",
    "benchmark": "measure speed as ratios to plain yardsticks",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of `COMMANDS`; the rest of the command line is its own."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv and argv[0] in COMMANDS:
        return _run(argv[0], argv[1:])
    if argv and argv[0] == "--version":
        print(f"posekit {__version__}")
        return 0
    lines = [f"  {name:<17}{text}" for name, text in COMMANDS.items()]
    print("usage: posekit COMMAND … (posekit COMMAND --help tells more)\n\n" + "\n".join(lines))
    if not argv or argv[0] in ("-h", "--help"):
        return 0
    print(f"posekit: error: unknown command {argv[0]!r}", file=sys.stderr)
    return 2


def _run(command: str, argv: Sequence[str]) -> int:
    try:
        module = importlib.import_module(f"posekit.cli.{command.replace('-', '_')}")
    except PosekitError as error:  # OpenCV cannot be loaded
        print(f"posekit {command}: error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:  # loading takes a second or two
        print(f"posekit {command}: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    return module.main(argv, prog=f"posekit {command}")


if __name__ == "__main__":
    sys.exit(main())
