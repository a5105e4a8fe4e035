import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image

from posekit import images
from posekit.errors import ImageError
from posekit.images import (
    ImageHeaders,
    cv2,
    decode_image,
    decode_reduced,
    read_headers,
    read_image,
    read_reduced_image,
    reduce_image,
    write_image,
)

HEIGHT, WIDTH = 60, 90


def scene(height=HEIGHT, width=WIDTH):
    """RGB, smooth enough for JPEG: red grows to the right, green downwards."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * x / width, 255 * y / height, np.full_like(x, 60)], -1).astype(np.uint8)


def encoded(image, kind, **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def decode(content):
    return decode_image(np.frombuffer(content, dtype=np.uint8), "image")


def error_message(call, *arguments):
    with pytest.raises(ImageError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.png", "Läufer im Wald, № 7 (копия).png", "été/跑步者.png"])
def test_reads_blue_green_red_from_any_path(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    Image.fromarray(scene()).save(tmp_path / name)
    for path in (tmp_path / name, str(tmp_path / name)):
        image = read_image(path)
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, scene()[..., ::-1])


# JPEG shares colour between pixels and is not exact.
@pytest.mark.parametrize(
    "kind, options, tolerance",
    [
        ("JPEG", {}, 8),
        ("JPEG", {"progressive": True}, 8),
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("TIFF", {}, 0),
    ],
)
def test_kinds_of_files(kind, options, tolerance):
    image = decode(encoded(Image.fromarray(scene()), kind, **options)).astype(int)
    assert np.abs(image - scene()[..., ::-1]).max() <= tolerance


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_grey_is_repeated(kind):
    image = decode(encoded(Image.fromarray(scene()[..., 0]), kind))
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert (image[..., :1] == image).all()
    assert np.abs(image[..., 0].astype(int) - scene()[..., 0]).max() <= 3


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 3)], ids=["grey", "colour"])
def test_16_bits_become_8(shape):
    deep = np.linspace(0, 65535, np.prod(shape)).reshape(shape).astype(np.uint16)
    image = decode(cv2.imencode(".png", deep)[1].tobytes())
    assert image.dtype == np.uint8
    expected = np.broadcast_to((deep / 257).reshape(2, 3, -1), (2, 3, 3))
    assert np.abs(image - expected).max() <= 1


@pytest.mark.parametrize("alpha", [0, 255])
def test_alpha_is_dropped(alpha):
    rgba = np.dstack([scene(), np.full((HEIGHT, WIDTH), alpha, dtype=np.uint8)])
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(rgba), "PNG")), scene()[..., ::-1])


def test_palette_and_one_bit():
    assert decode(encoded(Image.fromarray(scene()).convert("P"), "PNG")).shape == (HEIGHT, WIDTH, 3)
    assert set(np.unique(decode(encoded(Image.fromarray(scene()).convert("1"), "PNG")))) == {0, 255}


# EXIF 2.3: which side of the stored image is the first row and the first column as shown.
SHOWN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", SHOWN)
def test_exif_orientation_is_applied(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode(encoded(Image.fromarray(scene()), "JPEG", exif=exif, quality=95))
    expected = SHOWN[orientation](scene())[..., ::-1]
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= 8


def test_missing_files_folders_and_empty_files_are_named(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    for path in (tmp_path / "no.jpg", tmp_path, tmp_path / "empty.jpg"):
        assert error_message(read_image, path).startswith(f"{path}: ")
    assert "Is a directory" in error_message(read_image, tmp_path)
    assert error_message(decode, b"").startswith("image: ")


@pytest.mark.parametrize("content", [b"x", b"<html>no image</html>" * 99, b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\n"])
def test_files_that_are_no_images(tmp_path, content):
    (tmp_path / "x.jpg").write_bytes(content)
    assert error_message(read_image, tmp_path / "x.jpg").startswith(f"{tmp_path / 'x.jpg'}: ")


def noisy():
    noise = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3))
    return Image.fromarray((scene() // 2 + noise).astype(np.uint8))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.99, 1.0], ids=lambda share: f"{share:.0%}")
@pytest.mark.parametrize(
    "kind, options", [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("BMP", {}), ("WEBP", {})], ids=str
)
def test_truncated_files(capfd, kind, options, share):
    content = encoded(noisy(), kind, **options)
    assert decode(content).shape == (HEIGHT, WIDTH, 3)
    assert error_message(decode, content[: int(share * len(content)) - 1]).startswith("image: ")


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_image():
    thumbnail = encoded(noisy().resize((24, 16)), "JPEG", quality=20)
    assert len(thumbnail) < 900
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0" + thumbnail
    plain = encoded(noisy(), "JPEG")
    content = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    assert decode(content).shape == (HEIGHT, WIDTH, 3)
    scan = content.rfind(b"\xff\xda")
    assert b"\xff\xd9" in content[: scan + 200][-1024:]
    assert "truncated" in error_message(decode, content[: scan + 200])


def test_data_after_a_jpeg_is_ignored():
    content = encoded(noisy(), "JPEG")
    np.testing.assert_array_equal(decode(content + bytes(5000)), decode(content))


def claiming_png(side):
    """Make a PNG of a few bytes whose header claims `side` x `side` pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


def claiming_jpeg(side):
    """Make a JPEG whose header claims `side` x `side` pixels."""
    content = encoded(Image.fromarray(scene()), "JPEG")
    frame = content.index(b"\xff\xc0") + 5
    return content[:frame] + struct.pack(">HH", side, side) + content[frame + 4 :]


def test_a_header_that_claims_too_much():
    assert "too large" in error_message(decode, claiming_png(100_000))


@pytest.mark.parametrize("content", [claiming_png(50_000), claiming_jpeg(50_000)], ids=["png", "jpeg"])
def test_an_image_that_claims_too_many_pixels_is_not_decoded(tmp_path, monkeypatch, content):
    (tmp_path / "bomb").write_bytes(content)
    monkeypatch.setattr(images, "_decode", None)
    with pytest.raises(ImageError, match=r"bomb: .*50,000 x 50,000 .*536,870,912"):
        read_reduced_image(tmp_path / "bomb", 0.1)


def test_a_written_image_is_read_back(tmp_path):
    image = np.ascontiguousarray(scene()[..., ::-1])
    write_image(tmp_path / "new" / "x.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "new" / "x.png"), image)


def test_all_real_images_are_read(real_data):
    folders = [real_data / "mpii" / "images", real_data / "coco", real_data / "photos"]
    paths = sorted((real_data / "lspet" / "images").glob("*.jpg"))[::100]
    for folder in folders:
        paths += [path for path in folder.rglob("*") if path.suffix in (".jpg", ".jpeg", ".png")]
    assert len(paths) >= 12 + 4 + 1 + 90
    for path in paths:
        with Image.open(path) as header:
            assert sorted(read_image(path).shape) == sorted((*header.size, 3)), path


def reduced(content, resolution):
    return decode_reduced(np.frombuffer(content, dtype=np.uint8), "image", resolution)


@pytest.mark.parametrize("resolution, reduction", [(2, 1), (0.34, 1), (0.33, 2), (0.17, 2), (0.16, 4), (0.08, 8), (0.01, 8)])
def test_a_jpeg_is_decoded_to_at_least_one_and_a_half_times_the_needed_pixels(resolution, reduction):
    height, width = 61, 90  # no multiples: incomplete pixels are kept
    image, actual = reduced(encoded(Image.fromarray(scene(height, width)), "JPEG", quality=95), resolution)
    assert actual == reduction
    assert image.shape == (-(-height // reduction), -(-width // reduction), 3)
    # The pixel in column x stands for the columns around reduction * x + (reduction - 1) / 2.
    y, x = (reduction * np.array([3, 5]) + (reduction - 1) / 2)[:, None]
    expected = [60, 255 * y.item() / height, 255 * x.item() / width]
    assert np.abs(image[3, 5] - expected).max() < 4


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP"])
def test_other_files_are_decoded_in_full(kind):
    image, reduction = reduced(encoded(Image.fromarray(scene()), kind), 0.1)
    assert reduction == 1
    assert image.shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("orientation, reduction", [(1, 2), (3, 1), (6, 1)])
def test_a_rotated_jpeg_is_decoded_in_full(orientation, reduction):
    # Incomplete pixels would lie on the other side.
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert reduced(encoded(Image.fromarray(scene()), "JPEG", exif=exif), 0.3)[1] == reduction


def test_a_bad_jpeg_is_not_decoded_reduced():
    whole = encoded(Image.fromarray(scene()), "JPEG", exif=Image.Exif())
    assert "truncated" in error_message(reduced, whole[: len(whole) // 2], 0.25)
    for content in (b"", b"\xff\xd8Exif\0\0" + bytes(40)):
        assert error_message(reduced, content, 0.25).startswith("image: ")


def test_a_small_image_is_not_reduced(tmp_path):
    for name in ("a.jpg", "a.png", "a.bmp"):
        Image.fromarray(scene()).save(tmp_path / name)
        reduced_image = read_reduced_image(tmp_path / name, 0.01)
        np.testing.assert_array_equal(reduced_image.image, read_image(tmp_path / name))
        assert (reduced_image.reduction, reduced_image.width, reduced_image.height) == (1, WIDTH, HEIGHT)


@pytest.mark.parametrize("name", ["a.jpg", "turned.jpg", "a.png", "a.bmp"])
@pytest.mark.parametrize("resolution, reduction", [(0.34, 1), (0.3, 2), (0.16, 4)])
def test_a_large_image_has_no_more_pixels_than_needed(tmp_path, monkeypatch, name, resolution, reduction):
    height, width = 62, 91
    monkeypatch.setattr(images, "LARGE", 5000)
    exif = Image.Exif()
    exif[0x0112] = 3 if name == "turned.jpg" else 1
    image = Image.fromarray(scene(height, width))
    if name == "turned.jpg":
        image = image.rotate(180)
    image.save(tmp_path / name, quality=95, exif=exif)
    reduced_image = read_reduced_image(tmp_path / name, resolution)
    assert (reduced_image.reduction, reduced_image.width, reduced_image.height) == (reduction, width, height)
    assert abs(reduced_image.image.shape[1] - width / reduction) < 1
    y, x = reduction * np.array([3, 5]) + (reduction - 1) / 2
    assert np.abs(reduced_image.image[3, 5] - [60, 255 * y / height, 255 * x / width]).max() < 4


def test_reducing_counts_from_the_top_left_corner(tmp_path):
    Image.fromarray(scene()).save(tmp_path / "a.png")
    reduced_image = reduce_image(read_reduced_image(tmp_path / "a.png", 1), 4)
    assert reduced_image.image.shape == (HEIGHT // 4, WIDTH // 4, 3)
    assert (reduced_image.reduction, reduced_image.width, reduced_image.height) == (4, WIDTH, HEIGHT)
    expected = read_image(tmp_path / "a.png")[8:12, 12:16].mean((0, 1))
    assert np.abs(reduced_image.image[2, 3] - expected).max() <= 1
    assert reduce_image(reduced_image, 64) is reduced_image  # nothing would be left


def test_a_jpeg_too_large_for_pillow_is_reduced_without_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "LARGE", 5000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # it warns above, and refuses above the double
    (tmp_path / "a.jpg").write_bytes(encoded(Image.fromarray(scene(100, 100)), "JPEG", exif=Image.Exif()))
    assert read_reduced_image(tmp_path / "a.jpg", 0.1).reduction == 4


# Sizes from file headers


def save_plain(path, orientation=None, width=50, height=30):
    exif = Image.Exif()
    if orientation:
        exif[ExifTags.Base.Orientation] = orientation
    Image.new("RGB", (width, height)).save(path, exif=exif)
    return str(path)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", [None, 1, 3, 5, 6, 7, 8])
def test_size_is_that_of_the_image_as_read(tmp_path, suffix, orientation):
    path = save_plain(tmp_path / f"a.{suffix}", orientation)
    height, width = read_image(path).shape[:2]
    assert read_headers([path]).sizes == {path: (width, height)}


def test_broken_exif_data_are_ignored_as_by_opencv(tmp_path):
    path = str(tmp_path / "a.jpg")
    Image.new("RGB", (50, 30)).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0")
    assert read_image(path).shape == (30, 50, 3)
    assert read_headers([path]).sizes == {path: (50, 30)}


def test_missing_and_unreadable_images_are_distinguished(tmp_path):
    good = save_plain(tmp_path / "good.jpg")
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


def test_headers_of_no_images():
    assert read_headers([]) == ImageHeaders({})


@pytest.fixture
def run(tmp_path):
    """Run code in a Python whose cv2 cannot be imported."""
    (tmp_path / "cv2.py").write_text('raise ImportError("libGL.so.1: cannot open shared object file")')

    def run(code):
        code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    return run


def test_missing_system_library_names_the_package(run):
    error = run("import posekit.images").stderr
    assert "libGL.so.1" in error
    assert "apt-get install libgl1" in error
    assert "opencv-python-headless" in error


def test_a_command_reports_it_in_one_line(run):
    result = run("from posekit.cli.main import main; sys.exit(main(['predict', '--help']))")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "opencv-python-headless" in result.stderr
