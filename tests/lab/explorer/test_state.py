import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from posekit.errors import BoxError, ImageError
from posekit.heatmaps import encode
from posekit.images import read_image
from posekit.lab.explorer import state as module
from posekit.lab.explorer.state import decode_upload, open_state, person_box, run_on_rectangle
from posekit.losses.anchor import hard_pixels
from posekit.losses.explain import anchor_maps
from posekit.losses.heatmap import HeatmapAnchorLoss, HeatmapBCE

HAND = 1


def maps_of(state, point, gamma=2.0, anchor=None):
    """Return `anchor_maps` of the hand's map, with its true place at a point of the crop."""
    maps = torch.from_numpy(state.output.maps[HAND])[None, None]
    target = encode(torch.tensor([[point]], dtype=torch.float64), torch.ones(1, 1, dtype=torch.bool), size=16)
    return anchor_maps(maps, target, gamma, anchor=anchor)


def test_without_a_placed_joint_nothing_is_penalised(state):
    for joint in range(3):
        alone = replace(state, joint=joint)
        assert not alone.placed and alone.facts.penalty == alone.facts.hard == 0
        assert alone.facts.anchor == pytest.approx(state.output.maps[joint].max(), abs=1e-6)


@pytest.mark.parametrize("gamma, anchor", [(2.0, None), (0.0, None), (0.5, 0.3), (5.0, 0.0), (2.0, 1.0)])
def test_facts_are_those_of_anchor_maps(state, gamma, anchor):
    point = (4 * 4 + 1.5, 10 * 4 + 1.5)  # the lower peak is the true one
    facts = replace(state, joint=HAND, gamma=gamma, anchor=anchor).place(point).facts
    maps = maps_of(state, point, gamma, anchor)
    assert facts.anchor == maps.anchor.item() == pytest.approx(0.5 if anchor is None else anchor, abs=1e-6)
    assert facts.penalty == pytest.approx(maps.penalty.max().item(), rel=1e-6)
    means = maps.loss.mean().item(), maps.cross_entropy.mean().item()
    assert (facts.anchor_loss, facts.cross_entropy) == pytest.approx(means, rel=1e-6)
    hard = maps.mask & (maps.probability > maps.anchor)
    assert facts.hard == pytest.approx((hard.sum() / maps.mask.sum()).item(), abs=1e-7)
    if facts.penalty > 0:  # at the false peak, map pixel (12, 5): crop pixel (49.5, 21.5)
        assert facts.penalty_at == pytest.approx((2 * 49.5 + 20.5, 2 * 21.5 + 10.5))


def test_mean_losses_are_those_of_training(state):
    placed = replace(state, joint=HAND, gamma=3.0).place((17.5, 41.5))
    logits = torch.logit(torch.from_numpy(state.output.maps[HAND])[None, None], 1e-7)
    target = placed.maps.target[:, [HAND]]
    weight = torch.ones(1, 1)
    assert placed.facts.anchor_loss == pytest.approx(HeatmapAnchorLoss(gamma=3.0)(logits, target, weight).item(), rel=1e-5)
    assert placed.facts.cross_entropy == pytest.approx(HeatmapBCE()(logits, target, weight).item(), rel=1e-5)


def test_hard_pixels_are_counted_as_in_training(state):
    placed = replace(state, joint=HAND).place((17.5, 41.5))
    hard, negatives = hard_pixels(placed.maps.probability, placed.maps.target, torch.ones(1, 3, dtype=torch.bool))
    assert hard[0, HAND] > 0 and placed.facts.hard == pytest.approx((hard[0, HAND] / negatives[0, HAND]).item())


def test_placing_a_joint_keeps_the_others(state):
    first = replace(state, joint=2).place((5.5, 9.5))
    second = replace(first, joint=HAND).place((17.5, 41.5))
    assert second.output.view.known.tolist() == [False, True, True] and state.output.view.known.tolist() == [False] * 3
    np.testing.assert_allclose(second.completed.truth, [state.output.predicted[0], (17.5, 41.5), (5.5, 9.5)], atol=1e-6)
    released = second.release()
    assert not released.placed and replace(released, joint=2).placed
    np.testing.assert_allclose(released.truth, state.output.predicted[HAND], atol=1e-6)


def test_places_are_image_pixels_within_the_crop(state):
    np.testing.assert_allclose(state.place((10, 20)).output.view.joints[0], (2 * 10 + 20.5, 2 * 20 + 10.5))
    np.testing.assert_allclose(state.place((-50, 999)).truth, (-0.5, 63.5), atol=1e-5)


def test_a_step_is_a_pixel_of_the_map(state):
    placed = state.place((17.5, 41.5)).move((-1, 2))
    np.testing.assert_allclose(placed.truth, (13.5, 49.5))


def test_a_joint_outside_the_crop_has_no_anchor(state):
    far = replace(state.output.view, joints=np.full((3, 2), 5000.0), known=np.ones(3, bool))
    facts = replace(state, output=replace(state.output, view=far), anchor=0.2).facts
    assert np.isnan(facts.anchor) and facts.penalty == facts.hard == 0 and facts.anchor_loss == facts.cross_entropy > 0


def test_another_box_keeps_placed_joints(predictor):
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    state = open_state(predictor, "x", image)
    assert state.output.view.box.side == 120 and state.output.maps.shape == (14, 16, 16)
    placed = replace(state, joint=3, gamma=1.0).place((20.0, 30.0))
    rectangle = (10.0, 20.0, 40.0, 60.0)
    output = run_on_rectangle(predictor, placed, rectangle)
    again = replace(placed, gamma=4.0).with_output(output, rectangle)  # gamma changed while the model ran
    assert (again.joint, again.gamma, again.rectangle, again.placed) == (3, 4.0, rectangle, True)
    assert again.output.view.box == person_box(image, rectangle) and again.output.view.box.side == 75  # a quarter more than 60
    np.testing.assert_array_equal(again.output.view.joints[3], placed.output.view.joints[3])
    assert np.abs(again.output.maps - placed.output.maps).max() > 0
    whole = again.with_output(run_on_rectangle(predictor, again, None), None)
    np.testing.assert_array_equal(whole.output.maps, state.output.maps)


@pytest.mark.parametrize(
    "rectangle, problem", [((500, 0, 9, 9), "outside"), ((0, 0, 0, 9), "no area"), ((0, 0, 1e400, 9), "finite")]
)
def test_an_impossible_box_is_refused(predictor, rectangle, problem):
    state = open_state(predictor, "x", np.zeros((90, 120, 3), np.uint8))
    with pytest.raises(BoxError, match=problem):
        run_on_rectangle(predictor, state, rectangle)


def encoded(kind, size=(30, 20)):
    data = io.BytesIO()
    Image.new("RGB", size, (200, 100, 50)).save(data, kind)
    return data.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_images_are_decoded(kind):
    image = decode_upload(encoded(kind), "x")
    assert image.shape == (20, 30, 3) and np.abs(image[5, 5].astype(int) - (50, 100, 200)).max() < 12


@pytest.mark.parametrize("data", [b"", b"hello", encoded("GIF"), encoded("PNG")[:40], encoded("JPEG")[:-200], b"<svg/>"])
def test_incomplete_or_other_files_are_refused(data):
    with pytest.raises(ImageError, match=r"^<b>x\.jpg: "):
        decode_upload(data, "<b>x.jpg")


def test_a_header_with_too_many_pixels_is_refused_before_decoding(monkeypatch):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    monkeypatch.setattr(module, "decode_image", lambda *args: pytest.fail("decoded"))
    with pytest.raises(ImageError, match=r"bomb\.png"):
        decode_upload(b"\x89PNG\r\n\x1a\n" + chunk + encoded("PNG")[33:], "bomb.png")
    monkeypatch.setattr(module, "MAX_PIXELS", 599)
    with pytest.raises(ImageError, match=r"x\.png: .*600 .* 599"):
        decode_upload(encoded("PNG"), "x.png")


def test_a_real_image_is_decoded_like_the_file(real_data):
    path = real_data / "photos" / "man_running.jpg"
    np.testing.assert_array_equal(decode_upload(path.read_bytes(), path.name), read_image(path))
