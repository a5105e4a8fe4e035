"""Augmentation of batches of small images, against a loop over single images."""

import numpy as np
import pytest
import torch

from posekit.tasks.classifier.data import draw_shifts, shift_and_mirror


def crop_by_hand(image, x, y, mirrored, pad):
    """Pad with black, cut out, mirror: like torchvision's RandomCrop and RandomHorizontalFlip on one image."""
    height, width, _ = image.shape
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    crop = padded[pad + y : pad + y + height, pad + x : pad + x + width]
    return crop[:, ::-1] if mirrored else crop


@pytest.mark.parametrize("pad", [0, 1, 4])
def test_crops_equal_a_loop(pad):
    images = torch.randint(1, 256, (64, 6, 9, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    shifts, mirrored = draw_shifts(64, torch.Generator().manual_seed(5), pad)
    actual = shift_and_mirror(images, shifts, mirrored)
    expected = [crop_by_hand(images[i].numpy(), *shifts[i].tolist(), mirrored[i].item(), pad) for i in range(64)]
    assert actual.dtype == torch.uint8
    np.testing.assert_array_equal(actual.numpy(), np.stack(expected))


def test_all_shifts_are_equally_frequent_and_half_are_mirrored():
    shifts, mirrored = draw_shifts(81_000, torch.Generator().manual_seed(0))
    counts = torch.zeros(9, 9).index_put_(tuple((shifts + 4).T), torch.tensor(1.0), accumulate=True)
    assert counts.min() > 850  # 1000 each, standard deviation 31
    assert counts.max() < 1150
    assert abs(mirrored.float().mean().item() - 0.5) < 0.01


def test_shifts_depend_on_the_generator_state():
    first = draw_shifts(8, torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(1)
    again = draw_shifts(8, generator)
    other = draw_shifts(8, generator)
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[0], other[0])


def test_an_empty_batch_stays_empty():
    assert shift_and_mirror(torch.zeros(0, 8, 8, 3), *draw_shifts(0, torch.Generator())).shape == (0, 8, 8, 3)


def test_the_input_is_not_changed():
    images = torch.ones(2, 4, 4, 3, dtype=torch.uint8)
    crops = shift_and_mirror(images, torch.tensor([[0, 0], [9, 0]]), torch.tensor([False, True]))
    assert (images == 1).all()
    assert (crops[0] == 1).all()
    assert (crops[1] == 0).all()
