"""`posekit visualize explore`: a page on which one moves keypoints, gamma and the anchor."""

import argparse
from pathlib import Path

from posekit.cli.visualize.models import add_model_options
from posekit.errors import ConfigError
from posekit.images import read_image
from posekit.prediction.predictor import load

_DESCRIPTION = """\
Open a page on which to see at once what anchor loss does: say where a joint truly is, by a click or a drag on the
photograph, and move gamma and the anchor; heatmap, mask, modulator and penalty map follow, with their numbers.

The page is served to this machine alone, needs no network, and keeps photographs in memory only."""

_EPILOG = """\
examples:
  upload photographs on the page; with the weights that come with posekit; with yours
    %(prog)s
    %(prog)s --weights runs/lspet/best.safetensors
  begin with this one; for a script, or a machine without a browser
    %(prog)s --weights W runner.jpg --port 8090 --no-browser

It needs NiceGUI: pip install "nicegui>=3.18". Ctrl-C ends it."""


def add_explore(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "explore",
        help="open a page on which to move keypoints, gamma and the anchor",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photo", nargs="?", type=Path, metavar="PHOTO", help="photograph to begin with")
    add_model_options(parser)
    parser.add_argument("--port", type=_port, default=0, metavar="P", help="port of the page (default: any that is free)")
    parser.add_argument("--no-browser", action="store_true", help="print the page's address, and open no browser")
    parser.set_defaults(run=_explore)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a port, 1 to 65535")
    return int(text)


def _explore(args: argparse.Namespace) -> None:
    try:
        from posekit.lab.explorer.loopback import listen
        from posekit.lab.explorer.server import serve
    except ImportError as error:
        raise ConfigError(f'the explorer needs NiceGUI ({error}): pip install "nicegui>=3.18"') from None
    from posekit.lab.explorer.scene import open_state

    predictor = load(args.weights, device=args.device)
    scene = open_state(predictor, args.photo.name, read_image(args.photo)) if args.photo else None
    serve(predictor, scene, listen(args.port), browser=not args.no_browser)
