"""CIFAR's official forms, written byte by byte by these tests, and the real JPEG file."""

import os
import pickle
import struct

import h5py
import numpy as np
import pytest

from posekit.data.labelled_images import open_images
from posekit.errors import DataError
from posekit.images import cv2

CIFAR10 = [f"thing{k}" for k in range(10)]
CIFAR100 = [f"fine_{k}" for k in range(100)]


def pixels(count, seed):
    """(N, 3072) uint8: planes of red, green and blue."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)


def by_hand(planes):
    """Rearrange to (N, 32, 32, 3) pixel by pixel, as on the data set's page: 1,024 of each colour, row by row."""
    images = np.zeros((len(planes), 32, 32, 3), np.uint8)
    for y, x, colour in np.ndindex(32, 32, 3):
        images[:, y, x, colour] = planes[:, 1024 * colour + 32 * y + x]
    return images


def python2(value) -> bytes:
    """Encode with protocol 2 as Python 2 and numpy 1 wrote CIFAR: byte strings, arrays by `_reconstruct`."""
    if isinstance(value, bytes):
        return b"T" + struct.pack("<i", len(value)) + value
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(python2, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(python2(key) + python2(entry) for key, entry in value.items()) + b"u"
    is_fortran_order = not value.flags.c_contiguous
    shape = b"(" + b"".join(map(python2, value.shape)) + b"t"
    dtype = (
        b"cnumpy\ndtype\n(U\x02"
        + value.dtype.str[1:].encode()
        + b"K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    state = b"(K\x01" + shape + dtype + (b"\x88" if is_fortran_order else b"\x89") + python2(value.tobytes("A")) + b"tb"
    return b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR" + state


def python2_file(value) -> bytes:
    return b"\x80\x02" + python2(value) + b"."


def write_binary10(folder, count=4):
    for number in range(1, 7):
        labels = np.arange(count, dtype=np.uint8)[:, None] + number
        name = f"data_batch_{number}.bin" if number < 6 else "test_batch.bin"
        (folder / name).write_bytes(np.hstack([labels, pixels(count, number)]).tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(CIFAR10) + "\n\n")


def write_python10(folder, count=4, dump=python2_file):
    for number in range(1, 7):
        content = {b"batch_label": b"batch", b"labels": [k + number for k in range(count)], b"data": pixels(count, number)}
        name = f"data_batch_{number}" if number < 6 else "test_batch"
        (folder / name).write_bytes(dump({**content, b"filenames": [b"a.png"] * count}))
    (folder / "batches.meta").write_bytes(dump({b"label_names": [name.encode() for name in CIFAR10], b"num_vis": 3072}))


def write_binary100(folder):
    for seed, name in enumerate(("train.bin", "test.bin")):
        labels = np.array([[19, 42], [3, 99]], np.uint8)  # coarse, fine
        (folder / name).write_bytes(np.hstack([labels, pixels(2, seed)]).tobytes())
    (folder / "fine_label_names.txt").write_text("\n".join(CIFAR100) + "\n")


def write_python100(folder):
    for seed, name in enumerate(("train", "test")):
        content = {b"coarse_labels": [19, 3], b"fine_labels": [42, 99], b"data": pixels(2, seed)}
        (folder / name).write_bytes(python2_file(content))
    names = [name.encode() for name in CIFAR100]
    (folder / "meta").write_bytes(python2_file({b"fine_label_names": names, b"coarse_label_names": [b"x"] * 20}))


def python3_file(value):
    return pickle.dumps(value, protocol=4)


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(
    "write, folder",
    [
        (write_binary10, "cifar-10-batches-bin"),
        (write_python10, "cifar-10-batches-py"),
        (lambda folder: write_python10(folder, dump=python3_file), "cifar-10-batches-py"),
    ],
)
def test_all_forms_of_cifar10_have_the_same_content(tmp_path, write, folder, inside):
    root = tmp_path / folder if inside else tmp_path
    root.mkdir(exist_ok=True)
    write(root)
    train = open_images("cifar10", tmp_path, "train")
    test = open_images("cifar10", tmp_path, "test")
    assert (train.images.dtype, train.labels.dtype) == (np.uint8, np.int64)
    np.testing.assert_array_equal(train.images, by_hand(np.concatenate([pixels(4, number) for number in range(1, 6)])))
    assert train.labels.tolist() == [k + number for number in range(1, 6) for k in range(4)]
    np.testing.assert_array_equal(test.images, by_hand(pixels(4, 6)))
    assert test.labels.tolist() == [6, 7, 8, 9]
    assert train.classes == test.classes == tuple(CIFAR10)
    assert (train.name, train.split, len(train)) == ("cifar10", "train", 20)


@pytest.mark.parametrize("write", [write_binary100, write_python100])
def test_the_fine_classes_of_cifar100_are_read(tmp_path, write):
    write(tmp_path)
    test = open_images("cifar100", tmp_path, "test")
    np.testing.assert_array_equal(test.images, by_hand(pixels(2, 1)))
    assert test.labels.tolist() == [42, 99]
    assert test.classes == tuple(CIFAR100)


def test_the_pickles_of_these_tests_are_read_by_numpy():
    for array in (pixels(3, 0), np.asfortranarray(pixels(3, 0))):
        content = pickle.loads(python2_file({b"data": array, b"labels": [1, 2]}), encoding="bytes")
        np.testing.assert_array_equal(content[b"data"], array)
        assert content[b"labels"] == [1, 2]


def test_arrays_in_fortran_order(tmp_path):
    write_python10(tmp_path)
    (tmp_path / "test_batch").write_bytes(python2_file({b"data": np.asfortranarray(pixels(3, 0)), b"labels": [1, 2, 3]}))
    np.testing.assert_array_equal(open_images("cifar10", tmp_path, "test").images, by_hand(pixels(3, 0)))


class Malicious:
    def __init__(self, call, *arguments):
        self.call = call
        self.arguments = arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("place", ["test_batch", "batches.meta"])
def test_nothing_in_a_pickle_is_executed(tmp_path, place, protocol):
    write_python10(tmp_path)
    witness = tmp_path / "executed"
    for attack in (Malicious(os.mkdir, str(witness)), Malicious(eval, f"__import__('os').mkdir({str(witness)!r})")):
        data = pickle.dumps({b"data": attack, b"labels": [attack], b"label_names": attack}, protocol=protocol)
        pickle.loads(data)  # executes it
        witness.rmdir()
        (tmp_path / place).write_bytes(data)
        with pytest.raises(DataError, match=rf"\A.*{place}: .*'\w+' '\w+'.*\Z"):
            open_images("cifar10", tmp_path, "test")
        assert not witness.exists()


@pytest.mark.parametrize(
    "names",
    [
        b"cnumpy\nload\n(U\x01xtR.",
        b"cnumpy\nfromfile\n(U\x01xtR.",
        b"cbuiltins\ngetattr\n.",
        b"cnumpy.core.multiarray\nscalar\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
        b"\x80\x04\x8c\x02o\n\x8c\x06system\x93.",
        b"P1\n.",
        b"\x80\x02\x82\x01.",
    ],
)
def test_other_names_are_refused_even_numpys(tmp_path, names):
    write_python10(tmp_path)
    (tmp_path / "test_batch").write_bytes(names)
    with pytest.raises(DataError, match=r"\A.*test_batch: .*\Z"):
        open_images("cifar10", tmp_path, "test")


BATCH = {b"data": pixels(2, 0), b"labels": [1, 2]}


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", ""),
        (b"rubbish", ""),
        (python2_file(BATCH)[:-3000], ""),
        (python2_file([1, 2]), "data"),
        (python2_file({b"data": pixels(2, 0)}), "labels"),
        (python2_file({**BATCH, b"labels": [1, 2, 3]}), r"\(2, 3072\).*\(3,\)"),
        (python2_file({**BATCH, b"data": pixels(2, 0)[:, 1:].copy()}), r"\(2, 3071\)"),
        (python2_file({**BATCH, b"data": b"bytes"}), "bytes"),
        (python2_file({**BATCH, b"data": pixels(2, 0).view(np.int8)}), "array of bytes"),
        (python2_file({**BATCH, b"labels": [b"one", b"two"]}), "one"),
        (python2_file(BATCH).replace(b"J" + struct.pack("<i", 3072), b"J" + struct.pack("<i", 999)), "999"),
        (python2_file({**BATCH, b"labels": [1, 10]}), r"1 to 10\b.*10 classes"),
        (python2_file({**BATCH, b"labels": [-1, 2]}), "-1 to 2"),
        (python2_file({b"data": pixels(0, 0), b"labels": []}), "no images"),
    ],
)
def test_damaged_python_files_are_reported_in_one_line(tmp_path, content, message):
    write_python10(tmp_path)
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(DataError, match=rf"\A{tmp_path}.*: .*{message}.*\Z"):
        open_images("cifar10", tmp_path, "test")


def test_damaged_class_names(tmp_path):
    write_python10(tmp_path)
    (tmp_path / "batches.meta").write_bytes(python2_file({b"label_names": [1, 2]}))
    with pytest.raises(DataError, match=r"batches\.meta: label_names"):
        open_images("cifar10", tmp_path, "test")


def test_a_truncated_binary_file(tmp_path):
    write_binary10(tmp_path)
    path = tmp_path / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"data_batch_3\.bin: .*12287 .*3073"):
        open_images("cifar10", tmp_path, "train")
    open_images("cifar10", tmp_path, "test")


def test_missing_and_empty_binary_files(tmp_path):
    write_binary10(tmp_path)
    (tmp_path / "data_batch_5.bin").unlink()
    with pytest.raises(DataError, match=r"data_batch_5\.bin"):
        open_images("cifar10", tmp_path, "train")
    (tmp_path / "test_batch.bin").write_bytes(b"")
    with pytest.raises(DataError, match="no images"):
        open_images("cifar10", tmp_path, "test")


def test_labels_without_a_class_name(tmp_path):
    write_binary10(tmp_path)
    (tmp_path / "batches.meta.txt").write_text("\n".join(CIFAR10[:9]))
    with pytest.raises(DataError, match=r"6 to 9\b.* 9 classes"):
        open_images("cifar10", tmp_path, "test")


def test_a_folder_without_any_form(tmp_path):
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match=rf"{root}: .*batches\.meta\.txt.* batches\.meta "):
            open_images("cifar10", root, "train")
    write_binary10(tmp_path)
    with pytest.raises(DataError, match="fine_label_names"):
        open_images("cifar100", tmp_path, "train")


def write_hdf5(path, images, labels, offset=None, classes=CIFAR10):
    files = [cv2.imencode(".jpg", image[..., ::-1])[1].ravel() for image in images]
    with h5py.File(path, "w") as file:
        file.attrs["classes"] = classes
        group = file.create_group("test")
        group["jpeg"] = np.concatenate(files)
        group["offset"] = np.cumsum([0, *map(len, files)]) if offset is None else offset
        group["label"] = np.array(labels, np.uint8)


def red_and_blue(side=32):
    images = np.zeros((2, side, side, 3), np.uint8)
    images[0, ..., 0] = images[1, ..., 2] = 255
    return images


def test_hdf5_of_jpeg_files(tmp_path):
    write_hdf5(tmp_path / "a.h5", red_and_blue(), [3, 4])
    test = open_images("cifar10", tmp_path / "a.h5", "test")
    assert np.abs(test.images.astype(int) - red_and_blue()).max() <= 3
    assert test.labels.tolist() == [3, 4]
    assert test.classes == tuple(CIFAR10)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((red_and_blue(), [3]), "1 labels.* 3 offsets"),
        ((red_and_blue(), [3, 4], [0, 10, 20]), "3 offsets"),
        ((red_and_blue(), [3, 40]), "3 to 40"),
        ((red_and_blue(16), [3, 4]), "test 0 .*16x16 .*32x32"),
    ],
)
def test_damaged_hdf5(tmp_path, arguments, message):
    write_hdf5(tmp_path / "a.h5", *arguments)
    with pytest.raises(DataError, match=rf"a\.h5: .*{message}"):
        open_images("cifar10", tmp_path / "a.h5", "test")


def test_hdf5_with_a_damaged_image_or_without_a_split(tmp_path):
    path = tmp_path / "a.h5"
    write_hdf5(path, red_and_blue(), [3, 4])
    with pytest.raises(DataError, match=r"a\.h5: .*train/jpeg"):
        open_images("cifar10", path, "train")
    with h5py.File(path, "a") as file:
        file["test/jpeg"][int(file["test/offset"][1]) :] = 0
    with pytest.raises(DataError, match=r"a\.h5: test 1: "):
        open_images("cifar10", path, "test")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"a\.h5: .*test/jpeg"):
        open_images("cifar10", path, "test")


def test_real_cifar10(real_data):
    test = open_images("cifar10", real_data / "cifar10" / "cifar10_jpeg.h5", "test")
    assert test.images.shape == (10_000, 32, 32, 3)
    assert np.bincount(test.labels).tolist() == [1000] * 10
    assert test.classes[:3] == ("airplane", "automobile", "bird")
    # The sky and sea of ships and airplanes are blue, frogs are not.
    red, _, blue = test.images[np.isin(test.labels, [0, 8])].mean((0, 1, 2))
    frog_red, _, frog_blue = test.images[test.labels == 6].mean((0, 1, 2))
    assert blue > red
    assert frog_red > frog_blue
