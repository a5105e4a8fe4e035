import numpy as np
import pytest

from posekit.data.labelled_images import KINDS, LabelledImages, open_images
from posekit.errors import ConfigError, DataError, ImageError
from posekit.images import write_image


def write_folder(root, split="train", classes=("n02", "n01"), count=3):
    """Image i of class k has (5 + i, 7) pixels and red 10 k + i."""
    for k, name in enumerate(classes):
        (root / split / name).mkdir(parents=True)
        for i in range(count):
            image = np.zeros((5 + i, 7, 3), np.uint8)
            image[..., 2] = 10 * k + i  # blue, green, red
            write_image(root / split / name / f"{i}.png", image)


def test_classes_are_folders_in_the_order_of_their_names(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "train" / "n01" / "notes.txt").write_text("no image")
    (tmp_path / "train" / ".hidden").mkdir()
    (tmp_path / "train" / "list.txt").write_text("no class")
    train = open_images("folder", tmp_path, "train")
    assert train.classes == ("n01", "n02")
    assert train.labels.dtype == np.int64
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert [image.shape for image in train.images] == [(5, 7, 3), (6, 7, 3), (7, 7, 3)] * 2
    assert [image[0, 0].tolist() for image in train.images] == [[red, 0, 0] for red in (10, 11, 12, 0, 1, 2)]


def test_images_are_read_on_access(tmp_path):
    write_folder(tmp_path)
    train = open_images("folder", tmp_path, "train")
    (tmp_path / "train" / "n01" / "1.png").write_bytes(b"damaged")
    assert train.images[0].shape == (5, 7, 3)
    with pytest.raises(ImageError, match=r"1\.png"):
        train.images[1]


@pytest.mark.parametrize("name", ["val", "valid"])
def test_validation_folders_have_two_names(tmp_path, name):
    write_folder(tmp_path, name)
    assert len(open_images("folder", tmp_path, "valid")) == 6
    with pytest.raises(DataError, match=r"\btrain\b"):
        open_images("folder", tmp_path, "train")


def test_folders_without_classes_or_images(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match="train: "):
        open_images("folder", tmp_path, "train")
    (tmp_path / "train" / "n01").mkdir()
    with pytest.raises(DataError, match=r"n01: .*\.bmp, \.jpeg"):
        open_images("folder", tmp_path, "train")


def test_random_splits_divide_the_training_images(tmp_path):
    write_folder(tmp_path, count=10)
    whole = open_images("folder", tmp_path, "train")
    share = open_images("folder", tmp_path, "random:0.8:1")
    rest = open_images("folder", tmp_path, "random-rest:0.8:1")
    assert (len(share), len(rest)) == (16, 4)
    assert sorted([*share.images.paths, *rest.images.paths]) == sorted(whole.images.paths)
    for part in (share, rest):
        for label, path in zip(part.labels, part.images.paths, strict=True):
            assert part.classes[label] in path
    again = open_images("folder", tmp_path, "random:0.8:1")
    assert again.images.paths.tolist() == share.images.paths.tolist()
    assert again.split == "random:0.8:1"
    assert open_images("folder", tmp_path, "random:0.8:2").images.paths.tolist() != share.images.paths.tolist()


def test_selecting_keeps_images_and_labels_together():
    images = np.arange(4, dtype=np.uint8).repeat(12).reshape(4, 2, 2, 3)
    selected = LabelledImages("x", "train", images, np.arange(4), ("a", "b", "c", "d")).select(np.array([3, 1]), "few")
    assert selected.labels.tolist() == selected.images[:, 0, 0, 0].tolist() == [3, 1]
    assert selected.split == "few"


@pytest.mark.parametrize(
    "kind, split, message",
    [
        ("mnist", "train", f"'mnist'.* {', '.join(KINDS)}"),
        ("cifar10", "valid", "cifar10: .*'valid'.* train, test"),
        ("cifar10", "all", "cifar10: .*'all'"),
        ("folder", "everything", "'everything'.* train, valid, test"),
    ],
)
def test_unknown_kinds_and_splits_list_the_choices(tmp_path, kind, split, message):
    with pytest.raises(ConfigError, match=message):
        open_images(kind, tmp_path, split)
