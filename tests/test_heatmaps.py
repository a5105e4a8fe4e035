"""Targets against the formula pixel by pixel; encode -> decode round trips."""

import math

import numpy as np
import pytest
import torch

from posekit.heatmaps import decode, encode, find_peaks


def gaussian_by_hand(x, y, size, sigma):
    heat = np.zeros((size, size))
    for row, column in np.ndindex(size, size):
        squared = (column - x) ** 2 + (row - y) ** 2
        if squared <= (3 * sigma) ** 2:
            heat[row, column] = math.exp(-squared / (2 * sigma**2))
    return heat


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_integer_centre_equals_the_formula(sigma):
    joints = torch.tensor([[[100.3, 57.9], [3.0, 250.0], [127.5, 0.0]]])  # map: 24.7 -> 25, 14.1 -> 14, ...
    maps = encode(joints, torch.ones(1, 3, dtype=torch.bool), size=64, sigma=sigma)
    for k, (x, y) in enumerate([(25, 14), (0, 62), (32, 0)]):
        np.testing.assert_allclose(maps[0, k].numpy(), gaussian_by_hand(x, y, 64, sigma), atol=1e-6)
    assert maps.amax((-2, -1)).eq(1).all()


def test_subpixel_centre_equals_the_formula():
    joints = torch.tensor([[[100.3, 57.9]]])
    maps = encode(joints, torch.ones(1, 1, dtype=torch.bool), size=64, subpixel=True)
    np.testing.assert_allclose(maps[0, 0].numpy(), gaussian_by_hand(24.7, 14.1, 64, 1.0), atol=1e-5)


def test_exactly_zero_beyond_three_sigma():
    maps = encode(torch.tensor([[[129.5, 129.5]]]), torch.ones(1, 1, dtype=torch.bool), size=64)
    assert maps[0, 0, 32, 35] > 0  # at 3 sigma
    assert maps[0, 0, 33, 35] == 0  # beyond
    assert (maps > 0).sum() == 29  # lattice points within a circle of radius 3


def test_unlabelled_and_far_joints_leave_nothing():
    joints = torch.tensor([[[30.0, 30.0], [float("nan"), 1e9], [-500.0, 20.0], [-5.0, 20.0]]])
    maps = encode(joints, torch.tensor([[False, False, True, True]]), size=16)
    assert maps[0, :3].abs().max() == 0
    assert 0 < maps[0, 3].max() < 1  # its centre is outside, its edge reaches in


def test_mirroring_crop_mirrors_maps():
    joints = torch.tensor([[[21.3, 40.0]]])
    mirrored = joints.clone()
    mirrored[..., 0] = 63 - mirrored[..., 0]
    labelled = torch.ones(1, 1, dtype=torch.bool)
    for subpixel in (False, True):
        plain = encode(joints, labelled, size=16, subpixel=subpixel)
        torch.testing.assert_close(encode(mirrored, labelled, size=16, subpixel=subpixel), plain.flip(-1))


@pytest.mark.parametrize(
    ("method", "subpixel", "limit_px"),
    # Limits in crop pixels, stride 4: half a map pixel on each axis; a quarter offset cannot see inside an
    # integer target; DARK on a sub-pixel target is exact but for the Gaussian's cut at 3 sigma.
    [
        ("argmax", False, 2 * math.sqrt(2)),
        ("argmax", True, 2 * math.sqrt(2)),
        ("quarter", True, 1 * math.sqrt(2)),
        ("dark", True, 0.1),
    ],
)
def test_round_trip(method, subpixel, limit_px):
    generator = torch.Generator().manual_seed(1)
    joints = 12 + 230 * torch.rand(4, 16, 2, generator=generator)
    maps = encode(joints, torch.ones(4, 16, dtype=torch.bool), size=64, subpixel=subpixel)
    decoded, scores = decode(maps, method=method)
    assert (decoded - joints).norm(dim=-1).max() <= limit_px + 1e-3
    assert scores.shape == (4, 16)


def test_dark_beats_quarter_beats_argmax():
    generator = torch.Generator().manual_seed(2)
    joints = 12 + 230 * torch.rand(50, 4, 2, generator=generator)
    maps = encode(joints, torch.ones(50, 4, dtype=torch.bool), size=64, subpixel=True)
    errors = {m: (decode(maps, method=m)[0] - joints).norm(dim=-1).mean().item() for m in ("argmax", "quarter", "dark")}
    assert errors["dark"] < 0.1 * errors["quarter"]
    assert errors["quarter"] < 0.7 * errors["argmax"]


def test_quarter_offset_by_hand():
    maps = torch.zeros(1, 2, 5, 7)
    maps[0, 0, 2, 3], maps[0, 0, 2, 4], maps[0, 0, 1, 3] = 1.0, 0.5, 0.2
    maps[0, 1, 0, 6] = 0.9  # in a corner: no offset
    joints, scores = decode(maps, method="quarter", stride=1)
    torch.testing.assert_close(joints, torch.tensor([[[3.25, 1.75], [6.0, 0.0]]]))
    torch.testing.assert_close(scores, torch.tensor([[1.0, 0.9]]))


def awkward_maps(height=6, width=9):
    """Noise, few distinct values, plateaus, peaks on every border, zeros of both signs, NaN and infinities: (3, 7, H, W)."""
    generator = torch.Generator().manual_seed(3)
    maps = torch.randn(3, 7, height, width, generator=generator)
    maps[:, 1] = maps[:, 1].round()  # ties
    maps[:, 2] = torch.tensor([0.0, -0.0, 0.5])[:, None, None]
    maps[1, 2, 0, 1], maps[1, 2, -1, 0] = 0.0, 0.0
    maps[0, 3, 0], maps[1, 3, :, -1], maps[2, 3, -1, -1] = 4.0, 4.0, 4.0
    maps[0, 4, height // 2, width // 2], maps[1, 4, 0, 0], maps[2, 4, -1, 0] = torch.nan, torch.nan, torch.nan
    maps[0, 5, -1, -1], maps[1, 5], maps[2, 5, 0, 0] = torch.inf, -torch.inf, -torch.inf
    maps[:, 6, 1:3, 1:3] = 5.0
    maps[0, 6, 0, 1] = torch.nan  # beside a plateau
    return maps


def places_by_one_maximum(maps):
    """Column, row (B, K) and height of the highest pixel: of the flattened map, as torch finds it."""
    heights, places = maps.flatten(2).max(-1)
    return places % maps.shape[-1], places // maps.shape[-1], heights


def quarter_offset_by_patches(maps, columns, rows):
    """(B, K, 2), pixel by pixel."""
    height, width = maps.shape[-2:]
    offset = torch.zeros(*maps.shape[:2], 2)
    for b, k in np.ndindex(*maps.shape[:2]):
        x, y, heat = int(columns[b, k]), int(rows[b, k]), maps[b, k]
        if 0 < x < width - 1:
            offset[b, k, 0] = 0.25 * torch.sign(heat[y, x + 1] - heat[y, x - 1])
        if 0 < y < height - 1:
            offset[b, k, 1] = 0.25 * torch.sign(heat[y + 1, x] - heat[y - 1, x])
    return offset


@pytest.mark.parametrize("size", [(6, 9), (9, 6), (4, 4), (3, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("method", ["argmax", "quarter"])
def test_joints_and_scores_are_to_the_bit_those_of_one_maximum_over_the_flattened_map(size, dtype, method):
    maps = awkward_maps(*size).to(dtype)
    columns, rows, heights = places_by_one_maximum(maps.float())
    offset = quarter_offset_by_patches(maps.float(), columns, rows) if method == "quarter" else 0.0
    expected = (torch.stack([columns, rows], -1) + offset + 0.5) * 4 - 0.5
    joints, scores = decode(maps, method=method)
    assert joints.dtype == scores.dtype == torch.float32
    torch.testing.assert_close(joints, expected, rtol=0, atol=0)
    torch.testing.assert_close(scores, heights, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(scores.signbit(), heights.signbit())


def test_maps_that_are_not_contiguous_are_decoded_alike():
    maps = awkward_maps()
    views = maps.to(memory_format=torch.channels_last), maps.mT.contiguous().mT
    for view in views:
        for found, expected in zip(decode(view), decode(maps), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("method", ["argmax", "quarter", "dark"])
def test_a_compiled_decoder_is_one_graph_and_finds_the_same(method):
    maps = awkward_maps()
    compiled = torch.compile(lambda heat: decode(heat, method=method), backend="eager", fullgraph=True)
    for found, expected in zip(compiled(maps), decode(maps, method=method), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def test_scores_pass_gradients_to_the_highest_pixels():
    maps = torch.rand(2, 3, 5, 7, requires_grad=True)
    decode(maps)[1].sum().backward()
    assert torch.equal(maps.grad.flatten(2).argmax(-1), maps.flatten(2).argmax(-1)) and maps.grad.sum() == 6


def test_decode_on_unequal_sizes_and_stride():
    maps = torch.zeros(2, 3, 5, 7)
    maps[:, :, 4, 1] = 1
    joints, _ = decode(maps, method="argmax", stride=4)
    assert joints.shape == (2, 3, 2)
    torch.testing.assert_close(joints[0, 0], torch.tensor([5.5, 17.5]))


@pytest.mark.parametrize("method", ["argmax", "quarter", "dark"])
@pytest.mark.parametrize("fill", [0.0, 1.0, -3.0])
def test_flat_maps_decode_to_a_finite_place(method, fill):
    joints, scores = decode(torch.full((1, 2, 4, 4), fill), method=method)
    assert joints.isfinite().all()
    assert scores.eq(fill).all()


def test_empty_batch():
    assert encode(torch.zeros(0, 5, 2), torch.zeros(0, 5, dtype=torch.bool), size=8).shape == (0, 5, 8, 8)
    joints, scores = decode(torch.zeros(0, 5, 8, 8), method="dark")
    assert joints.shape == (0, 5, 2)
    assert scores.shape == (0, 5)
    joints, scores = decode(torch.zeros(5, 0, 8, 8))
    assert joints.shape == (5, 0, 2) and scores.shape == (5, 0)


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"expected \(B, K, H, W\), got \(3, 4, 4\)"):
        decode(torch.zeros(3, 4, 4))
    with pytest.raises(ValueError, match="choose from quarter, dark, argmax"):
        decode(torch.zeros(1, 3, 4, 4), method="softmax")


def two_humps(size=32):
    """A high peak at (20.2, 9.9), a lower one at (5.0, 25.1), map pixels."""
    joints = 4 * torch.tensor([[[20.2, 9.9], [5.0, 25.1]]]) + 1.5
    high, low = encode(joints, torch.ones(1, 2, dtype=torch.bool), size=size, subpixel=True)[0]
    return (0.9 * high + 0.6 * low)[None, None]


@pytest.mark.parametrize("method", ["argmax", "quarter", "dark"])
def test_peaks_come_highest_first_and_the_first_is_what_decode_finds(method):
    maps = two_humps()
    peaks, heights = find_peaks(maps, count=3, method=method)
    assert peaks.shape == (1, 1, 3, 2)
    joints, scores = decode(maps, method=method)
    torch.testing.assert_close(peaks[:, :, 0], joints)
    torch.testing.assert_close(heights[:, :, 0], scores)
    assert (peaks[0, 0, 1] - torch.tensor([21.5, 101.9])).abs().max() < (2.1 if method == "argmax" else 1.1)
    assert heights[0, 0, 1] == pytest.approx(0.6, abs=0.01)


def test_a_map_with_fewer_peaks_is_filled_with_nan():
    x, y = torch.meshgrid(torch.arange(5.0), torch.arange(7.0), indexing="xy")
    cone = -((x - 2) ** 2 + (y - 3) ** 2)
    peaks, heights = find_peaks(cone[None, None], count=4, method="argmax", stride=1)
    assert peaks[0, 0, 0].tolist() == [2, 3]
    assert heights[0, 0, 0] == 0
    assert peaks[0, 0, 1:].isnan().all()
    assert heights[0, 0, 1:].isnan().all()
    assert find_peaks(torch.ones(2, 3, 1, 2), count=5)[0].shape == (2, 3, 5, 2)
    assert find_peaks(torch.zeros(0, 3, 4, 4), count=2)[0].shape == (0, 3, 2, 2)


def test_peaks_lie_on_borders_too():
    maps = torch.zeros(1, 1, 6, 9)
    maps[0, 0, 0, 8], maps[0, 0, 5, 0] = 0.7, 0.5
    peaks, _ = find_peaks(maps, count=2, method="argmax", stride=1)
    assert peaks[0, 0].tolist() == [[8, 0], [0, 5]]


@pytest.mark.parametrize(("maps", "method"), [(torch.zeros(3, 4, 4), "dark"), (torch.zeros(1, 1, 4, 4), "best")])
def test_peaks_of_other_input_are_refused(maps, method):
    with pytest.raises(ValueError, match=r"expected \(B, K, H, W\)|choose from quarter, dark, argmax"):
        find_peaks(maps, method=method)
