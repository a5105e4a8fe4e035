import pytest
import torch

from posekit.models import normalise


def test_known_values():
    rgb = torch.tensor([51, 0, 255], dtype=torch.uint8).expand(2, 4, 5, 3)
    out = normalise(rgb, mean=(0.1, 0.2, 0.3), std=(0.5, 2.0, 0.25))
    assert out.shape == (2, 3, 4, 5)
    assert out.dtype == torch.float32
    assert out.is_contiguous(memory_format=torch.channels_last)  # fastest for convolutions
    # red (0.2 - 0.1) / 0.5, green (0 - 0.2) / 2, blue (1 - 0.3) / 0.25
    torch.testing.assert_close(out[1, :, 3, 4], torch.tensor([0.2, -0.1, 2.8]))


def test_each_crop_has_its_own_gains_which_are_not_clipped():
    white = torch.full((2, 4, 5, 3), 255, dtype=torch.uint8)
    channel_gains = torch.tensor([[1.0, 0.5, 1.2], [0.8, 1.0, 1.1]])
    out = normalise(white, (0.0, 0.0, 0.2), (1.0, 2.0, 1.0), channel_gains)
    # (gain - mean) / std
    torch.testing.assert_close(out[:, :, 3, 4], torch.tensor([[1.0, 0.25, 1.0], [0.8, 0.5, 0.9]]))
    assert (out == out[:, :, :1, :1]).all()


def test_pixels_keep_their_place():
    images = torch.randint(0, 256, (2, 4, 5, 3), dtype=torch.uint8)
    out = normalise(images, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    torch.testing.assert_close(out[1, 0, 2, 3] * 255, images[1, 2, 3, 0].float())


def test_no_images():
    assert normalise(torch.zeros(0, 8, 8, 3, dtype=torch.uint8), (0.0,) * 3, (1.0,) * 3).shape == (0, 3, 8, 8)


@pytest.mark.parametrize(
    "images", [torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.zeros(8, 8, 3, dtype=torch.uint8), torch.zeros(1, 8, 8, 3)]
)
def test_other_arrays_are_refused(images):
    with pytest.raises(ValueError, match=r"images: .*\(B, H, W, 3\) uint8"):
        normalise(images, (0.0,) * 3, (1.0,) * 3)
