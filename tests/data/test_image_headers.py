import numpy as np
import pytest
from PIL import ExifTags, Image

from posekit.data.image_headers import ImageHeaders, read_headers
from posekit.images import read_image


def save(path, orientation=None, width=50, height=30):
    exif = Image.Exif()
    if orientation:
        exif[ExifTags.Base.Orientation] = orientation
    Image.new("RGB", (width, height)).save(path, exif=exif)
    return str(path)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", [None, 1, 3, 5, 6, 7, 8])
def test_size_is_that_of_the_image_as_read(tmp_path, suffix, orientation):
    path = save(tmp_path / f"a.{suffix}", orientation)
    height, width = read_image(path).shape[:2]
    assert read_headers([path]).sizes == {path: (width, height)}


def test_broken_exif_data_are_ignored_as_by_opencv(tmp_path):
    path = str(tmp_path / "a.jpg")
    Image.new("RGB", (50, 30)).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0")
    assert read_image(path).shape == (30, 50, 3)
    assert read_headers([path]).sizes == {path: (50, 30)}


def test_missing_and_unreadable_images_are_distinguished(tmp_path):
    good = save(tmp_path / "good.jpg")
    names = {"empty.jpg": b"", "text.jpg": b"no image", "cut.png": b"\x89PNG\r\n\x1a\n\0\0"}
    for name, content in names.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder.jpg").mkdir()
    bad = [str(tmp_path / name) for name in (*names, "folder.jpg")]
    missing = str(tmp_path / "missing.jpg")
    headers = read_headers([good, missing, *bad, good])
    assert headers == ImageHeaders({good: (50, 30)}, (missing,), tuple(bad))


def test_the_header_of_a_huge_image_is_read(tmp_path):
    # Pillow warns above 89 million pixels and refuses above twice as many; only the header is wanted.
    path = tmp_path / "a.bmp"
    Image.new("1", (1, 1)).save(path)
    data = bytearray(path.read_bytes())
    data[18:26] = np.array([10_000, 10_000], "<i4").tobytes()
    path.write_bytes(data)
    assert read_headers([str(path)]).sizes == {str(path): (10_000, 10_000)}


def test_unknown_sizes_are_nan():
    headers = ImageHeaders({"a.jpg": (50, 30)})
    np.testing.assert_array_equal(headers.sizes_of(np.array(["b.jpg", "a.jpg"])), [[np.nan, np.nan], [50, 30]])
    assert headers.sizes_of(np.array([], dtype=str)).shape == (0, 2)


def test_no_images():
    assert read_headers([]) == ImageHeaders({})
