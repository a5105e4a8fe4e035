"""What the tests of figures share."""

import itertools

import numpy as np
import pytest
import torch
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from posekit.drawing.subject import Look, Subject
from posekit.geometry import Box
from posekit.heatmaps import decode
from posekit.skeletons import Skeleton

TRIO = Skeleton("trio", ("left_wrist", "right_wrist", "neck"), limbs=(("left_wrist", "neck"), ("right_wrist", "neck")))


@pytest.fixture(scope="session")
def require_legible():
    """A function that fails if a text of a figure overlaps another or leaves the figure."""
    return _require_legible


@pytest.fixture
def make_look():
    """A function that makes what a model says about one person from its maps (3, h, h): a picture of 100 px, the box the whole."""
    return _make_look


def _make_look(maps, joints=((20.0, 30.0), (70.0, 30.0), (50.0, 10.0)), known=(True, True, True), size=64, **target_options):
    image = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    subject = Subject("somebody", image, Box((49.5, 49.5), 100), TRIO, np.array(joints), np.array(known))
    points, scores = decode(torch.from_numpy(maps)[None], stride=size // maps.shape[-1])
    return Look(subject, size, maps, points[0].numpy(), scores[0].numpy(), target_options)


def _drawn_texts(figure):
    """Extents in pixels of every text that is drawn, with the text."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    outside = set()
    for axis in figure.findobj(Axis):
        low, high = sorted(axis.get_view_interval())
        ticks = (tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high)
        outside.update(label for tick in ticks for label in (tick.label1, tick.label2))
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip() and text not in outside]
    return [(text.get_window_extent(canvas.get_renderer()), text.get_text()) for text in texts]


def _require_legible(figure):
    texts, frame = _drawn_texts(figure), figure.bbox
    for extent, text in texts:
        inside = extent.x0 >= 0 and extent.y0 >= 0 and extent.x1 <= frame.x1 and extent.y1 <= frame.y1
        assert inside, f"{text!r} leaves the figure"
    for (a, text_a), (b, text_b) in itertools.combinations(texts, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(across, down) < 1.5, f"{text_a!r} overlaps {text_b!r}"
