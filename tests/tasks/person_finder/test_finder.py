"""Target heatmaps of people, weights files of person finders, and boxes decoded from heatmaps."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from posekit.errors import WeightsError
from posekit.models import load_weights, save_weights
from posekit.tasks.person_finder.finder import CentreFinder, CentresInfo, decode_centres, encode_centres, sizes_between
from posekit.weights import locate

INFO = CentresInfo((32.0, 64.0, 128.0), 8, 2, "", (0.5, 0.4, 0.3), (0.2, 0.2, 0.25))
SIZES = sizes_between(32, 256, 2)
NO_PERSON = [math.nan] * 3


@pytest.fixture
def model():
    torch.manual_seed(0)
    return INFO.build().eval()


@pytest.fixture
def path(model, tmp_path):
    save_weights(tmp_path / "a.safetensors", model, INFO.with_notes(loss="anchor"))
    return tmp_path / "a.safetensors"


@pytest.fixture
def find(path):
    return CentreFinder(path, device="cpu", smallest=0.2)


def replace_network(find, people, image):
    """Replace the network by one that outputs the heatmaps of `people`; returns the list that collects the input sizes."""
    sizes = []

    def forward(inputs):
        height, width = inputs.shape[2:]
        sizes.append((width, height))
        assert width % 16 == 0 and height % 16 == 0
        # Width of the image without its padding, which is 0 (the mean colour).
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
    assert [width for width, _ in sizes] == [128, 256], "the smallest people to find (80 of 400 px) have 51 of 256 px"
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


def encoded(*people, sizes=SIZES, size=64):
    return encode_centres(torch.tensor([people]), sizes, size=size)[0]


def test_sizes_reach_the_largest():
    assert list(SIZES) == pytest.approx([32, 32 * 2**0.5, 64, 64 * 2**0.5, 128, 128 * 2**0.5, 256])
    assert sizes_between(30, 100, 1) == (30, 60, 120)


def test_a_person_is_a_gaussian_along_x_y_and_size():
    maps = encoded([101.5, 61.5, 128.0])  # exactly on heatmap pixel (25, 15), exactly the fifth size
    assert maps.shape == (7, 64, 64)
    assert maps[4, 15, 25] == maps.max() == 1
    sigma = 0.08 * 128 / 4
    assert maps[4, 15, 28] == pytest.approx(math.exp(-((3 / sigma) ** 2) / 2), rel=1e-5)
    assert maps[4, 18, 25] == pytest.approx(maps[4, 15, 28])
    assert maps[3, 15, 25] == pytest.approx(math.exp(-2), rel=1e-5) == maps[5, 15, 25]
    assert (maps[[0, 1, 2, 6]] == 0).all(), "more than three standard deviations away"
    assert maps[4, 15, 25 + 8] == 0 and maps[4, 15, 25 + 7] > 0


def test_where_people_overlap_the_higher_value_counts():
    one = [101.5, 61.5, 128.0]
    other = [109.5, 61.5, 128.0]
    together = encoded(one, NO_PERSON, other)
    torch.testing.assert_close(together, torch.maximum(encoded(one), encoded(other)))
    assert (encoded(NO_PERSON, NO_PERSON) == 0).all()


@pytest.mark.parametrize("side", [30.0, 40.0, 64.0, 75.0, 130.0, 220.0, 280.0])
def test_a_side_between_two_sizes_is_found_again(side):
    maps = encoded([90.0, 33.0, side])
    assert maps.max() > 0.5, "anchor loss has its anchor where the target is above 0.5"
    ((x, y, decoded_side, height),) = decode_centres(maps, SIZES, least=0.2)
    assert abs(x - 90) <= 2 and abs(y - 33) <= 2 and decoded_side == pytest.approx(side, rel=1e-3)
    assert height == pytest.approx(float(maps.max()))


def test_people_of_different_sizes_at_one_place_are_found_highest_peak_first():
    maps = torch.maximum(encoded([100.0, 100.0, 32.0]), 0.7 * encoded([100.0, 100.0, 256.0]))
    people = decode_centres(maps, SIZES, least=0.1)
    assert people[:, 2] == pytest.approx([32, 256]) and people[:, 3] == pytest.approx([1, 0.7])
    assert len(decode_centres(maps, SIZES, least=0.8)) == 1


def test_empty_maps_have_no_people():
    assert decode_centres(torch.zeros(7, 4, 5), SIZES, least=0.1).shape == (0, 4)


def test_images_of_a_batch_are_drawn_independently():
    people = torch.tensor([[[50.0, 60, 40], NO_PERSON], [[20.0, 200, 90], [120.0, 30, 200]]])
    maps = encode_centres(people, SIZES, size=64)
    for index in range(2):
        torch.testing.assert_close(maps[index], encode_centres(people[index : index + 1], SIZES, size=64)[0])
    assert maps.isfinite().all()


def test_weights_read_back_as_written(path, model):
    again, info = load_weights(path, info_class=CentresInfo)
    images = torch.randn(2, 3, 64, 32)
    torch.testing.assert_close(again(images), model(images))
    assert again(images)[0].shape == (2, 3, 16, 8)
    assert info == INFO.with_notes(loss="anchor") and not again.training


def test_half_precision_is_nearly_the_same(path, model, tmp_path):
    save_weights(tmp_path / "half.safetensors", model, INFO, half=True)
    halves = load_file(tmp_path / "half.safetensors")
    for name, tensor in load_file(path).items():
        assert halves[name].dtype == (torch.float16 if tensor.is_floating_point() else tensor.dtype)
    again, _ = load_weights(tmp_path / "half.safetensors", info_class=CentresInfo)
    images = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(again(images), model(images), atol=1e-2, rtol=1e-2)


def test_every_pixel_starts_from_the_prior(model):
    assert model(torch.randn(1, 3, 32, 32))[0].sigmoid().median().item() == pytest.approx(0.01, rel=0.2)


def test_other_files_are_refused(path):
    with pytest.raises(WeightsError, match=r"posekit-centres.*\(posekit\)"):
        load_weights(path)
    with pytest.raises(WeightsError, match=r"\(posekit\).*posekit-centres"):
        load_weights(locate("lspet-small"), info_class=CentresInfo)


def test_files_that_do_not_fit_their_description(path, tmp_path):
    tensors = load_file(path)
    for metadata, message in (
        (INFO.to_json().replace("128.0", "128.0, 256.0"), "b.safetensors"),
        (INFO.to_json().replace("32.0, 64.0", "64.0, 32.0"), "sizes.*64.0, 32.0"),
        (INFO.to_json().replace('"features": 8', '"features": 9'), "features.*4.*got 9"),
        (INFO.to_json().replace('"encoder": ""', '"encoder": "vgg"'), "encoder.*vgg"),
        (INFO.to_json().replace('"version": 1', '"version": 7'), "7"),
        ("{}", "version"),
    ):
        save_file(tensors, tmp_path / "b.safetensors", {"posekit-centres": metadata})
        with pytest.raises(WeightsError, match=message):
            load_weights(tmp_path / "b.safetensors", info_class=CentresInfo)
