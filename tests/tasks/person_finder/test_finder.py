"""Candidates: where a network that knows people's middles sees some."""

import numpy as np
import pytest
import torch

from posekit.errors import WeightsError
from posekit.models import save_weights
from posekit.tasks.person_finder.centres import encode_centres
from posekit.tasks.person_finder.finder import CentreFinder
from posekit.tasks.person_finder.model import CentresInfo

INFO = CentresInfo((32.0, 64.0, 128.0), 8, 2, "", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


@pytest.fixture
def find(tmp_path):
    save_weights(tmp_path / "a.safetensors", INFO.build(), INFO)
    return CentreFinder(tmp_path / "a.safetensors", device="cpu", smallest=0.2)


def seer(find, people, image):
    """In the network's place one that sees these people, whatever the size of the picture."""
    seen = []

    def forward(inputs):
        height, width = inputs.shape[2:]
        seen.append((width, height))
        assert width % 16 == 0 and height % 16 == 0
        # Where in the padded picture the picture ends: padding is of the mean's grey, 0.
        columns = int(inputs[0].abs().amax((0, 1)).nonzero().max()) + 1
        scale = columns / image.shape[1]
        theirs = torch.tensor([[[(x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5, side * scale] for x, y, side in people]])
        maps = encode_centres(theirs, INFO.sizes, size=max(height, width) // 4)[..., : height // 4, : width // 4]
        return [torch.logit(maps, eps=1e-6)]

    find._model.forward = forward
    return seen


def test_people_are_found_in_pixels_of_the_picture(find):
    image = np.full((240, 400, 3), 255, np.uint8)
    people = [(80.0, 100.0, 90.0), (300.0, 120.0, 210.0)]
    seen = seer(find, people, image)
    boxes = find(image)
    for x, y, side in people:
        box, score = min(boxes, key=lambda found: abs(found[0].centre[0] - x) + abs(found[0].side - 1.25 * side))
        assert box.centre == pytest.approx((x, y), abs=8) and box.side == pytest.approx(1.25 * side, rel=0.05) and score > 0.5
    assert [width for width, _ in seen] == [128, 256], "the smallest sought, 80 px of 400, have 51 px of 256"
    assert len(boxes) == 2, "who is seen in both sizes has one box"
    assert [score for _, score in boxes] == sorted((score for _, score in boxes), reverse=True)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (50, 40), (700, 900)])
def test_pictures_of_any_size(find, size):
    assert isinstance(find(np.zeros((*size, 3), np.uint8)), list)


def test_nobody(find):
    image = np.full((100, 100, 3), 255, np.uint8)
    seer(find, [(np.nan,) * 3], image)
    assert find(image) == []


def test_other_weights_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="no such weights file"):
        CentreFinder(tmp_path / "none.safetensors")
