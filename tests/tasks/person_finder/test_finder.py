"""Candidate boxes from the maps of a network."""

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


def replace_network(find, people, image):
    """Replace the network by one that outputs these people's maps; returns a list to which it adds its inputs' sizes."""
    sizes = []

    def forward(inputs):
        height, width = inputs.shape[2:]
        sizes.append((width, height))
        assert width % 16 == 0 and height % 16 == 0
        # Width of the image inside its padding, which is 0 (the mean's grey).
        columns = int(inputs[0].abs().amax((0, 1)).nonzero().max()) + 1
        scale = columns / image.shape[1]
        scaled = [[(x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5, side * scale] for x, y, side in people]
        maps = encode_centres(torch.tensor([scaled]), INFO.sizes, size=max(height, width) // 4)
        return [torch.logit(maps[..., : height // 4, : width // 4], eps=1e-6)]

    find._model.forward = forward
    return sizes


def test_people_are_found_in_image_pixels(find):
    image = np.full((240, 400, 3), 255, np.uint8)
    people = [(80.0, 100.0, 90.0), (300.0, 120.0, 210.0)]
    sizes = replace_network(find, people, image)
    boxes = find(image)
    for x, y, side in people:
        box, score = min(boxes, key=lambda candidate: abs(candidate[0].centre[0] - x) + abs(candidate[0].side - 1.25 * side))
        assert box.centre == pytest.approx((x, y), abs=8) and box.side == pytest.approx(1.25 * side, rel=0.05) and score > 0.5
    assert [width for width, _ in sizes] == [128, 256], "the smallest people sought, 80 px of 400, have 51 px of 256"
    assert len(boxes) == 2, "a person found in both sizes has one box"
    scores = [score for _, score in boxes]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (50, 40), (700, 900)])
def test_images_of_any_size(find, size):
    assert isinstance(find(np.zeros((*size, 3), np.uint8)), list)


def test_an_image_without_people(find):
    image = np.full((100, 100, 3), 255, np.uint8)
    replace_network(find, [(np.nan,) * 3], image)
    assert find(image) == []


def test_of_thousands_of_peaks_the_highest_are_compared(find, monkeypatch):
    rng = np.random.default_rng(0)
    peaks = np.column_stack([rng.uniform(0, 2000, (9000, 2)), rng.uniform(30, 60, 9000), rng.random(9000)])
    monkeypatch.setattr(find, "_find_at", lambda image, scale: peaks)
    monkeypatch.setattr(find, "_sides", lambda: [100])
    image = np.zeros((9, 9, 3), np.uint8)
    boxes = find(image)
    assert 1000 < len(boxes) <= 2000
    peaks = peaks[peaks[:, 3] > 0.9]
    fewer = find(image)
    assert 500 < len(fewer) < 1000
    assert fewer == boxes[: len(fewer)]


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(WeightsError, match=r"none\.safetensors"):
        CentreFinder(tmp_path / "none.safetensors")
