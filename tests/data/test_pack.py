"""Packed people give the same samples, coordinates and splits as their images; parts, resuming, damage."""

import pickle
import re
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from posekit.data import open_people
from posekit.data import packing as packing_module
from posekit.data.augment import AugmentConfig, draw
from posekit.data.crops import CropDataset, EpochBatches, PyramidDataset, collate, make_loader, predict_batches
from posekit.data.packing import Packing, write_pack
from posekit.data.splits import Annotations, parse_split
from posekit.errors import ConfigError, DataError, ImageError, OutputError
from posekit.geometry import Crop
from posekit.images import cv2, read_image
from posekit.people import concatenate
from posekit.skeletons import LSP14, MPII16
from tests.fixtures.people import make_people

RAW = Packing(quality=0)
COLUMNS = ("joints", "labelled", "visible", "centres", "sides", "head_sizes", "areas", "image_ids")


def waves(height, width, length=60.0):
    """Image that is smooth between pixels and nowhere steeper than 100 * 2 pi / `length` per pixel."""
    y, x = np.mgrid[:height, :width]
    channels = []
    for angle in (0.3, 1.2, 2.2):
        phase = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / length
        channels.append(127.5 + 100 * np.sin(phase))
    return np.stack(channels, -1).astype(np.uint8)


def people_with_images(folder, count=6, *, images=4, shape=(240, 320), side=90.0):
    """Annotated people, some of whom share an image."""
    rng = np.random.default_rng(0)
    (folder / "images" / "deep").mkdir(parents=True, exist_ok=True)
    paths = []
    for i in range(images):
        path = folder / "images" / ("deep" if i % 2 else "") / f"im{i}.png"
        assert cv2.imwrite(str(path), waves(*shape, length=60 + 7 * len(path.parts)))
        paths.append(str(path))
    labelled = rng.random((count, 14)) < 0.9
    centres = rng.uniform(0.2, 0.8, (count, 2)) * shape[::-1]
    joints = centres[:, None] + rng.uniform(-side / 2, side / 2, (count, 14, 2))
    return make_people(
        name="some",
        split="all",
        image_paths=np.array([paths[i % images] for i in range(count)]),
        joints=np.where(labelled[..., None], joints, 0.0),
        labelled=labelled,
        visible=labelled & (rng.random((count, 14)) < 0.8),
        centres=centres,
        sides=rng.uniform(0.8, 1.2, count) * side,
        head_sizes=np.where(rng.random(count) < 0.5, np.nan, 12.5),
        left_out={"crowd": 3},
        areas=rng.uniform(100, 1000, count),
        image_ids=np.arange(count) % images,
    )


@pytest.fixture
def people(tmp_path):
    return people_with_images(tmp_path / "source")


def pack(path, people, packing=RAW, split="all", **options):
    files, failures = write_pack(path, people, packing, workers=1, progress=False, **options)
    assert failures == []
    assert all(file.is_file() for file in files)
    return open_people("packed", path, split)


def augmented_crops(people, epochs=3, size=128, **options):
    dataset = CropDataset(people, size=size, ranges=AugmentConfig(), seed=5, **options)
    return [dataset[epoch, index] for epoch in range(epochs) for index in range(len(people))]


def pixel_differences(people, other, **options):
    """Absolute pixel differences of all crops; everything else must be equal."""
    differences = []
    for expected, actual in zip(augmented_crops(people, **options), augmented_crops(other, **options), strict=True):
        assert expected.failure is None
        assert actual.failure is None
        np.testing.assert_allclose(actual.joints, expected.joints, rtol=0, atol=1e-3)
        np.testing.assert_array_equal(actual.labelled, expected.labelled)
        differences.append(np.abs(expected.image.astype(int) - actual.image))
    return np.stack(differences)


def error_message(error, call, *arguments, **options):
    with pytest.raises(error) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Samples


def test_crops_that_are_not_scaled_down_lose_nothing(people, tmp_path):
    # Whole pixels are copied; only OpenCV's interpolation in steps of 1/32 pixel may round differently.
    difference = pixel_differences(people, pack(tmp_path / "a.h5", people))
    assert difference.max() <= 255 / 32
    assert np.count_nonzero(difference) <= difference.size / 1000


def test_crops_of_real_people_equal_those_of_the_images(real_data, tmp_path):
    people = open_people("lsp", real_data / "lspet", "random:0.005:1")
    difference = pixel_differences(people, pack(tmp_path / "a.h5", people), size=256)
    assert difference.max() <= 255 / 32
    assert np.count_nonzero(difference) <= difference.size / 1000
    difference = pixel_differences(people, pack(tmp_path / "b.h5", people, Packing()), size=256)
    assert difference.mean() < 1.5  # grey levels lost to JPEG


def test_crops_scaled_down_keep_their_place(tmp_path):
    # A box of 600 px is packed in 256 px, so a crop pixel covers up to h = 4.7 image pixels. For waves of amplitude 100 and
    # length 200 px, bilinear interpolation over h loses up to h^2 / 8 * 100 (2 pi / 200)^2 = 0.27 grey levels, averaging
    # over h as much again, and each of three roundings 0.5: 2.1 in all. An offset of half a packed pixel would give 7. The
    # image's edge is left out: there the crop fades to black within a pixel, and packed pixels are larger.
    people = people_with_images(tmp_path / "source", 3, images=2, shape=(1080, 1920), side=600.0)
    for path in np.unique(people.image_paths):
        cv2.imwrite(path, waves(1080, 1920, length=200.0))
    difference = pixel_differences(people, pack(tmp_path / "a.h5", people, Packing(side=256, quality=0)))
    grid = np.moveaxis(np.mgrid[:128, :128][::-1], 0, -1)
    points = []
    for epoch in range(3):
        for index, person in enumerate(people):
            params = draw(np.random.default_rng([5, epoch, index]), AugmentConfig())
            points.append(params.crop(person.box, 128).inverse(grid))
    points = np.array(points)
    inside = ((points > 10) & (points < np.array([1920, 1080]) - 11)).all(-1)
    assert inside.mean() > 0.5
    assert difference[inside].max() <= 3


def test_jpeg_loses_little(people, tmp_path):
    difference = pixel_differences(people, pack(tmp_path / "a.h5", people, Packing(quality=95)))
    assert 0 < difference.mean() < 1.5


def test_an_image_smaller_than_its_crop_is_packed_unchanged(tmp_path):
    people = people_with_images(tmp_path / "source", side=200.0)
    paths = []
    for path in people.image_paths:
        paths.append(path.replace(".png", ".jpg"))
        cv2.imwrite(paths[-1], read_image(path), [cv2.IMWRITE_JPEG_QUALITY, 60])
    people = replace(people, image_paths=np.array(paths))
    difference = pixel_differences(people, pack(tmp_path / "a.h5", people, Packing(quality=95)))
    assert np.count_nonzero(difference) <= difference.size / 1000


def test_crops_keep_to_margin_and_side(tmp_path):
    people = people_with_images(tmp_path / "source", 4, images=2, shape=(1080, 1920), side=400.0)
    packed_people = pack(tmp_path / "a.h5", people, Packing(side=300, margin=1.5, quality=0))
    for person, original in zip(packed_people, people, strict=True):
        image, matrix = person.reader.read(person, np.inf)
        assert max(image.shape[:2]) <= 300 + 6
        scale = matrix[0, 0]
        assert scale == pytest.approx(300 / (1.5 * original.box.side))
        assert matrix[1, 1] == scale
        assert matrix[0, 1] == matrix[1, 0] == 0


def test_the_default_margin_covers_the_default_augmentation():
    assert Packing.margin >= np.sqrt(2) * (1 + AugmentConfig().scale) >= AugmentConfig(rotation=40).reach
    assert AugmentConfig(rotation=90).reach == AugmentConfig(rotation=45).reach == pytest.approx(np.sqrt(2) * 1.25)
    assert AugmentConfig(scale=0.5, rotation=0).reach == pytest.approx(1.5)
    assert Packing.side >= 256 / (1 - AugmentConfig().scale) * Packing.margin


def test_augmentation_beyond_the_margin_is_refused(people, tmp_path):
    narrow = pack(tmp_path / "a.h5", people, Packing(margin=1.4))
    CropDataset(narrow, size=32)
    PyramidDataset(narrow, size=32, scales=(0.8, 1.4))
    with pytest.raises(ConfigError, match=r"a\.h5: .* 1\.4, .* 1\.708\b.*--margin 1\.71"):
        CropDataset(narrow, size=32, ranges=AugmentConfig())
    with pytest.raises(ConfigError, match=r"1\.500"):
        PyramidDataset(concatenate([people, narrow]), size=32, scales=(1, 1.5))


# Annotation, coordinates and splits


def test_packed_people_equal_the_originals(people, tmp_path):
    packed = pack(tmp_path / "a.h5", people)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(packed, name), getattr(people, name), err_msg=name)
    assert (packed.name, packed.split, packed.skeleton) == ("some", "all", LSP14)
    assert (packed.box_source, packed.left_out) == (people.box_source, {"crowd": 3})
    assert packed.image_paths[1] == (tmp_path / "a.h5" / "deep" / "im1.png").as_posix()
    assert packed.image_paths[0] == packed.image_paths[4]  # people of one image share its path


def test_predictions_are_in_pixels_of_the_original_image(tmp_path):
    people = people_with_images(tmp_path / "source", shape=(720, 1280), side=300.0)
    spots = people.centres + 40.0
    paths = [str(tmp_path / f"{i}.png") for i in range(len(people))]
    for path, spot in zip(paths, spots, strict=True):
        image = np.zeros((720, 1280, 3), np.uint8)
        cv2.circle(image, np.rint(spot).astype(int).tolist(), 12, (255, 255, 255), -1)
        cv2.imwrite(path, cv2.GaussianBlur(image, None, 8))
    people = replace(people, image_paths=np.array(paths))

    def find_spot(images):
        weights = images.double().mean(-1)
        y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
        centre = [(weights * axis).sum((1, 2)) / weights.sum((1, 2)) for axis in (x, y)]
        return torch.stack(centre, -1)[:, None], torch.ones(len(images), 1)

    for source in (people, pack(tmp_path / "a.h5", people, Packing(side=200, quality=0))):
        loader = make_loader(CropDataset(source, size=64), EpochBatches(len(source), 4))
        points = np.concatenate([batch_points for _, batch_points, _, _ in predict_batches(loader, source, find_spot)])
        np.testing.assert_allclose(points[:, 0], np.rint(spots), atol=0.5)


def test_packed_people_can_be_selected_mapped_and_concatenated(people, tmp_path):
    packed = pack(tmp_path / "a.h5", people)
    mixed = concatenate([people, packed]).mapped_to(MPII16).select(np.array([8, 2, 11]))
    originals = people.mapped_to(MPII16).select(np.array([2, 2, 5]))
    assert pixel_differences(originals, mixed).max() <= 255 / 32


def test_a_box_that_was_not_packed_fails_for_that_person_only(people, tmp_path):
    packed = pack(tmp_path / "a.h5", people)
    moved = replace(packed, sides=packed.sides * np.array([1, 1, 1.01, 1, 1, 1]))
    dataset = CropDataset(moved, size=32)
    batch = collate([dataset[i] for i in range(6)])
    assert [failure.index for failure in batch.failures] == [2]
    assert packed.image_paths[2] in batch.failures[0].message


def test_a_crop_is_cut_equally_from_image_and_pack(people, tmp_path):
    packed = pack(tmp_path / "a.h5", people)
    crop = Crop(people[3].box, 64, rotation=10)
    np.testing.assert_array_equal(packed[3].cut(crop), people[3].cut(crop))


def test_a_pack_of_a_whole_data_set_has_its_official_splits(real_data, tmp_path):
    everyone = open_people("lsp", real_data / "lspet")
    packed_people = everyone.select(np.arange(200))
    splits = {
        "train": packed_people.select(np.arange(120)[::-1], "train"),
        "test": replace(packed_people.select(np.arange(120, 200), "test"), left_out={"no labelled joint": 2}),
    }
    partly_packed = everyone.select(np.arange(190, 210))
    path = tmp_path / "a.h5"
    pack(path, packed_people, official={**splits, "valid": partly_packed})
    for name, split in splits.items():
        packed = open_people("packed", path, name)
        np.testing.assert_array_equal(packed.joints, split.joints)
        assert (packed.split, packed.left_out) == (name, split.left_out)
    with pytest.raises(ConfigError, match=r"a\.h5 .*\bvalid\b.* train, test, all"):
        open_people("packed", path, "valid")
    with pytest.raises(ConfigError, match=r"'half': .* train, valid"):
        open_people("packed", path, "half")


def test_random_splits_equal_those_of_the_data_set(tmp_path):
    people = people_with_images(tmp_path / "source", 60, images=20)
    pack(tmp_path / "a.h5", people)
    for kind in ("random", "random-rest"):
        expected = Annotations(people, np.full(60, ""), "test").choose(parse_split(f"{kind}:0.4:3"))
        packed = open_people("packed", tmp_path / "a.h5", f"{kind}:0.4:3")
        np.testing.assert_array_equal(packed.joints, expected.joints)


def test_a_packed_split_cannot_be_divided_at_random(people, tmp_path):
    packed = pack(tmp_path / "a.h5", replace(people, split="random:0.9:1"), split="random:0.9:1")
    assert len(packed) == 6
    assert len(open_people("packed", tmp_path / "a.h5")) == 6
    with pytest.raises(ConfigError, match=r"a\.h5: .*random:0\.9:1 of some.*--split random-rest:0\.9:1"):
        open_people("packed", tmp_path / "a.h5", "random-rest:0.9:1")


# Parts


def test_parts_keep_to_their_size_and_read_as_one(tmp_path):
    people = people_with_images(tmp_path / "source", 40, images=3)
    whole = pack(tmp_path / "whole.h5", people)
    limit = 400_000
    pack(tmp_path / "a.h5", people, part_bytes=limit)
    parts = sorted(tmp_path.glob("a-*.h5"))
    assert len(parts) >= 3
    assert [part.name for part in parts[:2]] == ["a-000.h5", "a-001.h5"]
    assert all(part.stat().st_size <= limit for part in parts)
    for root in (parts[0], parts[1], tmp_path / "a.h5", tmp_path / "a-*.h5"):
        packed = open_people("packed", root)
        assert packed.image_paths[0] == f"{parts[0].as_posix()}/im0.png"
        np.testing.assert_array_equal(packed.joints, whole.joints)
    assert not pixel_differences(whole, packed, epochs=1).any()


def test_a_missing_or_foreign_part_is_named(tmp_path):
    people = people_with_images(tmp_path / "source", 40, images=3)
    pack(tmp_path / "a.h5", people, part_bytes=400_000)
    pack(tmp_path / "b.h5", people, Packing(margin=1.78, quality=0), part_bytes=400_000)
    with pytest.raises(ConfigError, match=r"\*\.h5: .*a\.h5, .*b\.h5"):
        open_people("packed", tmp_path / "*.h5")
    shutil.copy(tmp_path / "b-001.h5", tmp_path / "a-001.h5")
    with pytest.raises(DataError, match=r"a-001\.h5: .*part 2 of"):
        open_people("packed", tmp_path / "a.h5")
    (tmp_path / "a-001.h5").unlink()
    for root in ("a-000.h5", "a-002.h5", "a.h5", "a-*.h5"):
        with pytest.raises(DataError, match=r"a-001\.h5: part 2 of"):
            open_people("packed", tmp_path / root)
    with pytest.raises(DataError, match=r"c-\*\.h5"):
        open_people("packed", tmp_path / "c-*.h5")


def test_after_too_small_parts_packing_resumes_with_larger_ones(people, tmp_path):
    with pytest.raises(ConfigError, match=r"80,000 bytes: .*person 0\b.*?.*\d+kB"):
        pack(tmp_path / "a.h5", people, part_bytes=80_000)
    assert len(pack(tmp_path / "a.h5", people, part_bytes=200_000)) == 6


# Interrupted runs


def interrupt_after(count, monkeypatch):
    """Interrupt packing after `count` crops; return the list of the people whose crops were cut."""
    done = []
    cut_crop = packing_module.cut_crop

    def cut_or_stop(person, packing):
        if len(done) == count:
            raise KeyboardInterrupt
        done.append(person)
        return cut_crop(person, packing)

    monkeypatch.setattr(packing_module, "cut_crop", cut_or_stop)
    return done


def pack_interrupted(path, people, count, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_after(count, patch)
        with pytest.raises(KeyboardInterrupt):
            pack(path, people)


def test_an_interrupted_run_resumes_and_writes_the_same_bytes(tmp_path, monkeypatch):
    people = people_with_images(tmp_path / "source", 30)
    pack(tmp_path / "whole.h5", people)
    path = tmp_path / "a.h5"
    pack_interrupted(path, people, 20, monkeypatch)
    assert not path.exists()
    folder = tmp_path / "a.h5.unfinished"
    for name in ("crops", "people.jsonl"):  # as if killed while writing
        with (folder / name).open("ab") as file:
            file.write(b'{"bytes": 17')
    done = interrupt_after(1000, monkeypatch)
    pack(path, people)
    assert len(done) == 30 - 16  # batches of 8
    assert path.read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert not folder.exists()


def test_crops_that_did_not_reach_the_disk_are_cut_again(tmp_path, monkeypatch):
    people = people_with_images(tmp_path / "source", 30)
    pack(tmp_path / "whole.h5", people)
    pack_interrupted(tmp_path / "a.h5", people, 20, monkeypatch)
    crops = tmp_path / "a.h5.unfinished" / "crops"
    crops.write_bytes(crops.read_bytes()[:-100])
    pack(tmp_path / "a.h5", people)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_crops_that_changed_on_disk_are_refused(people, tmp_path):
    error_message(ConfigError, pack, tmp_path / "a.h5", people, part_bytes=80_000)  # stops when all crops are cut
    crops = tmp_path / "a.h5.unfinished" / "crops"
    crops.write_bytes(b"x" + crops.read_bytes()[1:])
    assert str(crops) in error_message(OutputError, pack, tmp_path / "a.h5", people)
    assert not (tmp_path / "a.h5").exists()


def test_an_unfinished_pack_with_other_options_is_kept(people, tmp_path, monkeypatch):
    pack_interrupted(tmp_path / "a.h5", people, 3, monkeypatch)
    folder = tmp_path / "a.h5.unfinished"
    assert str(folder) in error_message(OutputError, pack, tmp_path / "a.h5", people, Packing(margin=2.0))
    assert folder.exists()


def test_existing_files_are_kept(people, tmp_path):
    for existing, target in (("a.h5", "a.h5"), ("b-000.h5", "b.h5")):
        (tmp_path / existing).write_text("precious")
        assert str(tmp_path / target) in error_message(OutputError, pack, tmp_path / target, people)
        assert (tmp_path / existing).read_text() == "precious"


def test_a_folder_that_cannot_be_written(people, tmp_path):
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "a.h5"
    assert str(target) in error_message(OutputError, pack, target, people)


@pytest.mark.slow
def test_workers_write_the_same_bytes_and_read_the_same_batches(tmp_path):
    people = people_with_images(tmp_path / "source", 30)
    packed = pack(tmp_path / "a.h5", people)
    write_pack(tmp_path / "b.h5", people, RAW, workers=2, progress=False)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    dataset = CropDataset(packed, size=32, ranges=AugmentConfig(), seed=3)
    batches = EpochBatches(30, 8, seed=1, shuffle=True)
    for batch, keys in zip(make_loader(dataset, batches, workers=2), batches, strict=True):
        assert torch.equal(batch.images, collate([dataset[key] for key in keys]).images)


def test_unpickled_packed_people_open_the_pack_again(people, tmp_path):
    packed = pack(tmp_path / "a.h5", people)
    expected = augmented_crops(packed, epochs=1)
    unpickled = pickle.loads(pickle.dumps(packed))
    for actual, crop in zip(augmented_crops(unpickled, epochs=1), expected, strict=True):
        np.testing.assert_array_equal(actual.image, crop.image)


# Unreadable images and damage


def test_an_unreadable_image_is_counted_and_named(tmp_path, capsys):
    people = people_with_images(tmp_path / "source", 200, images=200, shape=(60, 80), side=40.0)
    lost = tmp_path / "source" / "images" / "im6.png"
    lost.unlink()
    people = replace(people, centres=np.where(np.arange(200)[:, None] == 9, 5000.0, people.centres))
    files, failures = write_pack(tmp_path / "a.h5", people, RAW, workers=1, progress=False)
    assert [failure.index for failure in failures] == [6, 9]
    assert failures[0].message.startswith(f"person 6: {lost}: ")
    assert failures[0].message in capsys.readouterr().out
    dataset = CropDataset(open_people("packed", files[0]), size=32)
    batch = collate([dataset[i] for i in range(200)])
    assert [failure.index for failure in batch.failures] == [6, 9]
    assert "a.h5: person 6 (im6.png): " in batch.failures[0].message
    assert "(5000, 5000)" in batch.failures[1].message
    assert not batch.images[6].any()


def test_too_many_unreadable_images_end_a_run_that_resumes_when_they_are_present(tmp_path):
    people = people_with_images(tmp_path / "source", 30, images=30)
    pack(tmp_path / "whole.h5", people)
    missing = tmp_path / "source" / "images" / "im10.png"
    missing.rename(tmp_path / "kept.png")
    with pytest.raises(DataError, match=rf"1 of 30 .* 1 %.*{re.escape(str(missing))}"):
        pack(tmp_path / "a.h5", people)
    assert not (tmp_path / "a.h5").exists()
    (tmp_path / "kept.png").rename(missing)
    pack(tmp_path / "a.h5", people)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def flip_bit(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_a_damaged_crop_is_reported_as_an_unreadable_image(people, tmp_path):
    path = tmp_path / "a.h5"
    pack(path, people)
    with h5py.File(path) as file:
        start = file["crops"].id.get_offset()
        ends = file["ends"][()]
    flip_bit(path, start + int(ends[2]) + 5)  # in person 3
    dataset = CropDataset(open_people("packed", path), size=32)
    batch = collate([dataset[i] for i in range(6)])
    (failure,) = batch.failures
    assert failure.index == 3
    assert failure.message.startswith(f"person 3: {path}: person 3 (deep/im3.png): ")
    assert "checksum" in failure.message
    assert not batch.labelled[3].any()
    assert batch.labelled[[0, 1, 2, 4, 5]].any(1).all()


def test_a_file_that_lost_its_end_after_it_was_opened(people, tmp_path):
    packed = pack(tmp_path / "a.h5", people)
    data = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=r"a\.h5: person 5 .*checksum"):
        packed[5].read()


def test_damaged_annotation_and_truncated_files_are_refused(people, tmp_path):
    path = tmp_path / "a.h5"
    pack(path, people)
    data = path.read_bytes()
    joints = people.joints.tobytes()
    flip_bit(path, data.index(joints[: len(joints) // 2]) + 6)
    with pytest.raises(DataError, match=r"a\.h5: .*checksum"):
        open_people("packed", path)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"a\.h5: .*truncated file"):
        open_people("packed", path)


@pytest.mark.parametrize("content", ["", "text"])
def test_a_file_that_is_not_hdf5_is_refused(tmp_path, content):
    path = tmp_path / "a.h5"
    path.write_text(content)
    assert str(path) in error_message(DataError, open_people, "packed", path)


def test_an_hdf5_file_that_is_no_pack_or_of_another_format_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["crops"] = np.zeros(3, np.uint8)
    with pytest.raises(DataError, match=r"a\.h5: .*header"):
        open_people("packed", path)
    with h5py.File(path, "a") as file:
        file.attrs.update(header='{"format": "posekit packed people 99"}', checksum="")
    with pytest.raises(DataError, match=r"a\.h5: .*posekit packed people 1"):
        open_people("packed", path)


def test_a_pack_stored_in_chunks_is_refused(people, tmp_path):
    pack(tmp_path / "a.h5", people)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        crops = file["crops"][()]
        del file["crops"]
        file.create_dataset("crops", data=crops, chunks=(1000,))
    with pytest.raises(DataError, match=r"a\.h5: .*h5repack"):
        open_people("packed", tmp_path / "a.h5")


@pytest.mark.parametrize("wrong", [{"side": 8}, {"margin": 0.9}, {"margin": 11.0}, {"quality": 101}])
def test_packing_out_of_range_is_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ConfigError, match=rf"{name} {value:g}"):
        Packing(**wrong)
