"""Batches of labelled images: random draws, crops of image files, and files that cannot be read."""

import pickle

import numpy as np
import pytest
import torch

from posekit.data.crops import EpochBatches, identity_collate, make_loader
from posekit.data.labelled_images import LabelledImages, open_images
from posekit.images import write_image
from posekit.tasks.classifier.data import IGNORED, ImageDataset, classify_batches, draw_crop, draw_shifts, shift_and_mirror

SIZE = 6


@pytest.fixture
def arrays():
    pixels = np.random.default_rng(0).integers(256, size=(9, SIZE, SIZE, 3), dtype=np.uint8)
    return LabelledImages("toy", "train", pixels, np.arange(9) % 3, ("a", "b", "c"))


@pytest.fixture
def folder(tmp_path):
    """Four images of 40x20: red grows from left to right; the third is damaged."""
    for i in range(4):
        image = np.zeros((20, 40, 3), np.uint8)
        image[..., 2] = 6 * np.arange(40)
        write_image(tmp_path / "train" / f"class{i % 2}" / f"{i}.png", image)
    (tmp_path / "train" / "class1" / "1.png").write_bytes(b"no image")
    return open_images("folder", tmp_path, "train")


def test_a_batch_without_augmentation_has_the_images_unchanged(arrays):
    batch = ImageDataset(arrays, size=SIZE).__getitems__([(0, 4), (0, 1)])
    np.testing.assert_array_equal(batch.images, arrays.images[[4, 1]])
    assert batch.labels.tolist() == [1, 1] and batch.index.tolist() == [4, 1]
    torch.testing.assert_close(shift_and_mirror(batch.images, batch.shifts, batch.mirrored), batch.images)


def test_draws_depend_on_seed_epoch_and_indices_only(arrays):
    def draw(seed, epoch, places=(3, 5, 7, 1, 0, 8)):
        batch = ImageDataset(arrays, size=SIZE, augmented=True, pad=2, seed=seed).__getitems__([(epoch, i) for i in places])
        return torch.cat([batch.shifts, batch.mirrored[:, None]], 1).tolist()

    assert draw(0, 0) == draw(0, 0)
    assert len({str(draw(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4
    assert np.abs(np.array(draw(0, 0))[:, :2]).max() <= 2


def test_a_batch_can_be_pickled_and_may_be_empty(arrays):
    dataset = ImageDataset(arrays, size=SIZE, augmented=True)
    for keys in ([(1, 2), (1, 0)], []):
        batch = dataset.__getitems__(keys)
        again = pickle.loads(pickle.dumps(batch)).to("cpu")
        assert len(again) == len(keys) and type(again) is type(batch)
        for name in ("images", "labels", "shifts", "mirrored", "index"):
            torch.testing.assert_close(getattr(again, name), getattr(batch, name))


@pytest.mark.parametrize("workers", [0, 1])
def test_the_loader_yields_whole_batches(arrays, workers):
    loader = make_loader(ImageDataset(arrays, size=SIZE), EpochBatches(9, 4), workers=workers, collate=identity_collate)
    assert [batch.index.tolist() for batch in loader] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


def test_images_that_cannot_be_read_are_black_and_have_no_label(folder):
    batch = ImageDataset(folder, size=8).__getitems__([(0, i) for i in range(4)])
    assert batch.labels.tolist() == [0, 0, IGNORED, 1]
    assert batch.images[2].max() == 0 < batch.images[0].max()
    (failure,) = batch.failures
    assert failure.index == 2 and "1.png" in failure.message


def test_evaluated_images_are_cropped_in_the_middle(folder):
    (image,) = ImageDataset(folder, size=9).__getitems__([(0, 0)]).images.numpy()
    # 7/8 of 20 pixels are 18 (17.5 rounded to even), from column 11 on: halved, columns 11.5, 13.5, ... of red 6 x.
    np.testing.assert_allclose(image[:, :, 0], np.tile(6 * (11.5 + 2 * np.arange(9)), (9, 1)), atol=1)
    assert image[..., 1:].max() == 0


def test_training_images_are_cropped_differently_in_every_epoch(folder):
    dataset = ImageDataset(folder, size=8, augmented=True)
    first, again, later = (dataset.__getitems__([(epoch, 0)]).images for epoch in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, later)


def test_crops_lie_inside_and_vary_in_area_and_ratio():
    crops = np.array([draw_crop(np.random.default_rng(seed), 50, 40) for seed in range(300)])
    x, y, w, h = crops.T
    assert (crops >= 0).all() and (x + w <= 50).all() and (y + h <= 40).all()
    area = w * h / 2000
    ratio = w / h
    assert 0.06 < area.min() < 0.15 and 0.85 < area.max() <= 1
    assert 0.7 < ratio.min() < 0.85 and 1.2 < ratio.max() < 1.45
    assert draw_crop(np.random.default_rng(0), 1000, 1) == (499, 0, 1, 1)


def test_logits_come_with_their_indices_and_are_nan_for_unreadable_images(folder):
    loader = make_loader(ImageDataset(folder, size=8), EpochBatches(4, 3), collate=identity_collate)
    first, second = classify_batches(loader, lambda images: images.float().mean((1, 2)))
    assert first[0].tolist() == [0, 1, 2] and second[0].tolist() == [3]
    assert np.isnan(first[1]).all(1).tolist() == [False, False, True] and np.isfinite(second[1]).all()
    assert [failure.index for failure in first[2]] == [2] and second[2] == ()


def crop_by_hand(image, x, y, mirrored, pad):
    """Pad with black, crop and mirror one image, like RandomCrop and RandomHorizontalFlip of torchvision."""
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
    shifts, mirrored = draw_shifts(81_000, torch.Generator().manual_seed(0), 4)
    counts = torch.zeros(9, 9).index_put_(tuple((shifts + 4).T), torch.tensor(1.0), accumulate=True)
    assert counts.min() > 850  # 1000 each, standard deviation 31
    assert counts.max() < 1150
    assert abs(mirrored.float().mean().item() - 0.5) < 0.01


def test_shifts_depend_on_the_generator_state():
    first = draw_shifts(8, torch.Generator().manual_seed(1), 4)
    generator = torch.Generator().manual_seed(1)
    again = draw_shifts(8, generator, 4)
    other = draw_shifts(8, generator, 4)
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[0], other[0])


def test_an_empty_batch_stays_empty():
    assert shift_and_mirror(torch.zeros(0, 8, 8, 3), *draw_shifts(0, torch.Generator(), 4)).shape == (0, 8, 8, 3)


def test_the_input_is_not_changed():
    images = torch.ones(2, 4, 4, 3, dtype=torch.uint8)
    crops = shift_and_mirror(images, torch.tensor([[0, 0], [9, 0]]), torch.tensor([False, True]))
    assert (images == 1).all()
    assert (crops[0] == 1).all()
    assert (crops[1] == 0).all()
