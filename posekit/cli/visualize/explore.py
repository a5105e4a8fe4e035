"""`posekit visualize explore`: an interactive page to change keypoints, gamma and the anchor."""

import argparse

from posekit.errors import ConfigError
from posekit.images import read_image
from posekit.prediction.predictor import load


def run(args: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C."""
    try:
        from posekit.lab.explorer.server import listen, serve
    except ImportError as error:
        raise ConfigError(f'the explorer needs NiceGUI ({error}): pip install "nicegui>=3.18"') from None
    from posekit.lab.explorer.state import open_state

    predictor = load(args.weights, device=args.device)
    state = open_state(predictor, args.image.name, read_image(args.image)) if args.image else None
    serve(predictor, state, listen(args.port), browser=not args.no_browser)
