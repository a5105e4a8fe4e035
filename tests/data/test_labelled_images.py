"""Folders of classes, splits, and the augmentation of batches against loops."""

import numpy as np
import pytest
import torch

from posekit.data.labelled_images import KINDS, LabelledImages, open_images
from posekit.errors import ConfigError, DataError, ImageError
from posekit.images import write_image
from posekit.tasks.classifier.data import draw_shifts, shift_and_mirror


def write_folder(root, split="train", classes=("n02", "n01"), count=3):
    """Picture i of the class in place k is (5 + i, 7) pixels, red 10 k + i."""
    for k, name in enumerate(classes):
        (root / split / name).mkdir(parents=True)
        for i in range(count):
            image = np.zeros((5 + i, 7, 3), np.uint8)
            image[..., 2] = 10 * k + i  # blue, green, red
            write_image(root / split / name / f"{i}.png", image)


def test_classes_are_the_folders_in_the_order_of_their_names(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "train" / "n01" / "notes.txt").write_text("no picture")
    (tmp_path / "train" / ".hidden").mkdir()
    (tmp_path / "train" / "list.txt").write_text("no class")
    train = open_images("folder", tmp_path, "train")
    assert train.classes == ("n01", "n02")
    assert train.labels.dtype == np.int64 and train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert [image.shape for image in train.images] == [(5, 7, 3), (6, 7, 3), (7, 7, 3)] * 2
    assert [image[0, 0].tolist() for image in train.images] == [[red, 0, 0] for red in (10, 11, 12, 0, 1, 2)]


def test_photographs_are_read_when_they_are_asked_for(tmp_path):
    write_folder(tmp_path)
    train = open_images("folder", tmp_path, "train")
    (tmp_path / "train" / "n01" / "1.png").write_bytes(b"damaged")
    assert train.images[0].shape == (5, 7, 3)
    with pytest.raises(ImageError, match=r"1\.png"):
        train.images[1]


@pytest.mark.parametrize("name", ["val", "valid"])
def test_validation_folders_go_by_two_names(tmp_path, name):
    write_folder(tmp_path, name)
    assert len(open_images("folder", tmp_path, "valid")) == 6
    with pytest.raises(DataError, match="no folder train; expected one"):
        open_images("folder", tmp_path, "train")


def test_folders_without_classes_or_images(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match="no folders of classes"):
        open_images("folder", tmp_path, "train")
    (tmp_path / "train" / "n01").mkdir()
    with pytest.raises(DataError, match=r"n01: no image of this class \(\.bmp, \.jpeg"):
        open_images("folder", tmp_path, "train")


def test_random_splits_divide_the_training_images(tmp_path):
    write_folder(tmp_path, count=10)
    whole = open_images("folder", tmp_path, "train")
    share, rest = (open_images("folder", tmp_path, f"{kind}:0.8:1") for kind in ("random", "random-rest"))
    assert (len(share), len(rest)) == (16, 4)
    assert sorted([*share.images.paths, *rest.images.paths]) == sorted(whole.images.paths)
    for part in (share, rest):
        assert [part.classes[label] in path for label, path in zip(part.labels, part.images.paths, strict=True)] == [True] * len(
            part
        )
    again = open_images("folder", tmp_path, "random:0.8:1")
    assert again.images.paths.tolist() == share.images.paths.tolist() and again.split == "random:0.8:1"
    assert open_images("folder", tmp_path, "random:0.8:2").images.paths.tolist() != share.images.paths.tolist()


def test_selecting_keeps_images_and_labels_together():
    images = np.arange(4, dtype=np.uint8).repeat(12).reshape(4, 2, 2, 3)
    some = LabelledImages("x", "train", images, np.arange(4), ("a", "b", "c", "d")).select(np.array([3, 1]), "few")
    assert some.labels.tolist() == some.images[:, 0, 0, 0].tolist() == [3, 1] and some.split == "few"


@pytest.mark.parametrize(
    "kind, split, message",
    [
        ("mnist", "train", f"no kind of images 'mnist'; there are {', '.join(KINDS)}"),
        ("cifar10", "valid", "cifar10: no split 'valid'; there are train, test, and random ones"),
        ("cifar10", "all", "no split 'all'"),
        ("folder", "everything", "expected train, valid, test"),
    ],
)
def test_unknown_kinds_and_splits_are_answered_with_those_there_are(tmp_path, kind, split, message):
    with pytest.raises(ConfigError, match=message):
        open_images(kind, tmp_path, split)


def crop_by_hand(image, x, y, mirrored, pad):
    """Pad with black, cut out, mirror: as torchvision's RandomCrop and RandomHorizontalFlip on one picture."""
    height, width, _ = image.shape
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    cut = padded[pad + y : pad + y + height, pad + x : pad + x + width]
    return cut[:, ::-1] if mirrored else cut


@pytest.mark.parametrize("pad", [0, 1, 4])
def test_crops_equal_a_loop(pad):
    images = torch.randint(1, 256, (64, 6, 9, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    shifts, mirrored = draw_shifts(64, torch.Generator().manual_seed(5), pad)
    found = shift_and_mirror(images, shifts, mirrored)
    expected = [crop_by_hand(images[i].numpy(), *shifts[i].tolist(), mirrored[i].item(), pad) for i in range(64)]
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), np.stack(expected))


def test_every_shift_is_drawn_as_often_as_any_other_and_half_are_mirrored():
    shifts, mirrored = draw_shifts(81_000, torch.Generator().manual_seed(0))
    counts = torch.zeros(9, 9).index_put_(tuple((shifts + 4).T), torch.tensor(1.0), accumulate=True)
    assert counts.min() > 850 and counts.max() < 1150  # 1000 each, deviation 31
    assert abs(mirrored.float().mean().item() - 0.5) < 0.01


def test_the_same_state_draws_the_same_and_the_next_batch_another():
    one, two = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    first, again, other = (draw_shifts(8, generator) for generator in (one, two, two))
    assert all(map(torch.equal, first, again)) and not torch.equal(first[0], other[0])


def test_no_images_are_cut_to_none():
    assert shift_and_mirror(torch.zeros(0, 8, 8, 3), *draw_shifts(0, torch.Generator())).shape == (0, 8, 8, 3)


def test_the_images_are_left_as_they_are():
    images = torch.ones(2, 4, 4, 3, dtype=torch.uint8)
    cut = shift_and_mirror(images, torch.tensor([[0, 0], [9, 0]]), torch.tensor([False, True]))
    assert (images == 1).all() and (cut[0] == 1).all() and (cut[1] == 0).all()
