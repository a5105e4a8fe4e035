"""Packed people: the same samples, coordinates and splits as from the photographs; parts, resuming, damage."""

import pickle
import re
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from posekit.data import open_people
from posekit.data.augment import AugmentConfig, draw
from posekit.data.crops import CropDataset, EpochBatches, PyramidDataset, collate, make_loader, predict_batches
from posekit.data.pack import crops as cuts
from posekit.data.pack.crops import Packing
from posekit.data.pack.write import write_pack
from posekit.data.splits import Annotations, parse_split
from posekit.errors import ConfigError, DataError, ImageError, OutputError
from posekit.geometry import Crop
from posekit.images import read_image
from posekit.opencv import cv2
from posekit.people import People, concatenate
from posekit.skeletons import LSP14, MPII16

RAW = Packing(quality=0)
COLUMNS = ("joints", "labelled", "visible", "centres", "sides", "head_sizes", "areas", "image_ids")


def waves(height, width, length=60.0):
    """A picture whose pixels are known between them too, and that is nowhere steeper than 100 * 2 pi / `length` a pixel."""
    y, x = np.mgrid[:height, :width]
    phases = [2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / length for angle in (0.3, 1.2, 2.2)]
    return np.stack([127.5 + 100 * np.sin(phase) for phase in phases], -1).astype(np.uint8)


def make_people(folder, count=6, *, photographs=4, shape=(240, 320), side=90.0):
    """Annotated people, who share some of the photographs."""
    rng = np.random.default_rng(0)
    (folder / "images" / "deep").mkdir(parents=True, exist_ok=True)
    paths = [folder / "images" / ("deep" if i % 2 else "") / f"im{i}.png" for i in range(photographs)]
    for path in paths:
        assert cv2.imwrite(str(path), waves(*shape, length=60 + 7 * len(path.parts)))
    labelled = rng.random((count, 14)) < 0.9
    centres = rng.uniform(0.2, 0.8, (count, 2)) * shape[::-1]
    return People(
        name="some", split="all", skeleton=LSP14, image_paths=np.array([str(paths[i % photographs]) for i in range(count)]),
        joints=np.where(labelled[..., None], centres[:, None] + rng.uniform(-side / 2, side / 2, (count, 14, 2)), 0.0),
        labelled=labelled, visible=labelled & (rng.random((count, 14)) < 0.8), centres=centres,
        sides=rng.uniform(0.8, 1.2, count) * side, head_sizes=np.where(rng.random(count) < 0.5, np.nan, 12.5),
        box_source="test", left_out={"crowd": 3}, areas=rng.uniform(100, 1000, count), image_ids=np.arange(count) % photographs,
    )  # fmt: skip


@pytest.fixture
def people(tmp_path):
    return make_people(tmp_path / "photographs")


def pack(path, people, packing=RAW, split="all", **options):
    files, failures = write_pack(path, people, packing, workers=1, progress=False, **options)
    assert failures == []
    assert all(file.is_file() for file in files)
    return open_people("packed", path, split)


def drawn(people, epochs=3, size=128, **options):
    dataset = CropDataset(people, size=size, ranges=AugmentConfig(), seed=5, **options)
    return [dataset[epoch, index] for epoch in range(epochs) for index in range(len(people))]


def differences(people, other, **options):
    """Absolute differences of the pixels of all crops; all else must be the same."""
    found = []
    for one, two in zip(drawn(people, **options), drawn(other, **options), strict=True):
        assert one.failure is None
        assert two.failure is None
        np.testing.assert_allclose(two.joints, one.joints, rtol=0, atol=1e-3)
        np.testing.assert_array_equal(two.labelled, one.labelled)
        found.append(np.abs(one.image.astype(int) - two.image))
    return np.stack(found)


def message(error, call, *arguments, **options):
    with pytest.raises(error) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# the same samples


def test_crops_that_are_not_scaled_down_lose_nothing(people, tmp_path):
    # Whole pixels are copied. Only the place in 1/32 of a pixel at which OpenCV interpolates may round otherwise.
    found = differences(people, pack(tmp_path / "a.h5", people))
    assert found.max() <= 255 / 32
    assert np.count_nonzero(found) <= found.size / 1000


def test_crops_of_real_people_are_those_of_the_photographs(real_data, tmp_path):
    people = open_people("lsp", real_data / "lspet", "random:0.005:1")
    found = differences(people, pack(tmp_path / "a.h5", people), size=256)
    assert found.max() <= 255 / 32
    assert np.count_nonzero(found) <= found.size / 1000
    found = differences(people, pack(tmp_path / "b.h5", people, Packing()), size=256)
    assert found.mean() < 1.5  # grey levels that JPEG loses


def test_crops_scaled_down_lie_where_they_did(tmp_path):
    # Persons of 600 px in 256 px of side: a pixel of the crop is up to 4.7 px of the photograph. Of waves of amplitude 100
    # and length 200 px bilinear interpolation over h = 4.7 px loses up to h^2 / 8 * 100 (2 pi / 200)^2 = 0.27 grey levels, the mean
    # over h as much again, and each of three roundings half of one: 2.1. Half a pixel of the pack off would be 7. The edge of the
    # photograph is left out: there the crop fades to black within a pixel, and pixels of the pack are larger.
    people = make_people(tmp_path / "photographs", 3, photographs=2, shape=(1080, 1920), side=600.0)
    for path in np.unique(people.image_paths):
        cv2.imwrite(path, waves(1080, 1920, length=200.0))
    found = differences(people, pack(tmp_path / "a.h5", people, Packing(side=256, quality=0)))
    grid = np.moveaxis(np.mgrid[:128, :128][::-1], 0, -1)
    drawn_params = [draw(np.random.default_rng([5, epoch, i]), AugmentConfig()) for epoch in range(3) for i in range(len(people))]
    boxes = [person.box for person in people] * 3
    places = np.array([params.crop(box, 128).inverse(grid) for params, box in zip(drawn_params, boxes, strict=True)])
    inside = ((places > 10) & (places < np.array([1920, 1080]) - 11)).all(-1)
    assert inside.mean() > 0.5
    assert found[inside].max() <= 3


def test_jpeg_loses_little(people, tmp_path):
    found = differences(people, pack(tmp_path / "a.h5", people, Packing(quality=95)))
    assert 0 < found.mean() < 1.5


def test_a_photograph_smaller_than_its_crop_is_packed_as_it_is(tmp_path):
    people = make_people(tmp_path / "photographs", side=200.0)
    images = []
    for image in people.image_paths:
        images.append(image.replace(".png", ".jpg"))
        cv2.imwrite(images[-1], read_image(image), [cv2.IMWRITE_JPEG_QUALITY, 60])
    people = replace(people, image_paths=np.array(images))
    found = differences(people, pack(tmp_path / "a.h5", people, Packing(quality=95)))
    assert np.count_nonzero(found) <= found.size / 1000


def test_what_is_packed_reaches_no_further_than_margin_and_side(tmp_path):
    people = make_people(tmp_path / "photographs", 4, photographs=2, shape=(1080, 1920), side=400.0)
    packed_people = pack(tmp_path / "a.h5", people, Packing(side=300, margin=1.5, quality=0))
    for person, original in zip(packed_people, people, strict=True):
        image, matrix = person.reader.read(person, np.inf)
        assert max(image.shape[:2]) <= 300 + 6
        scale = matrix[0, 0]
        assert scale == pytest.approx(300 / (1.5 * original.box.side))
        assert matrix[1, 1] == scale
        assert matrix[0, 1] == matrix[1, 0] == 0


def test_the_default_margin_holds_whatever_augmentation_shows():
    assert Packing.margin >= np.sqrt(2) * (1 + AugmentConfig().scale) >= AugmentConfig(rotation=40).reach
    assert AugmentConfig(rotation=90).reach == AugmentConfig(rotation=45).reach == pytest.approx(np.sqrt(2) * 1.25)
    assert AugmentConfig(scale=0.5, rotation=0).reach == pytest.approx(1.5)
    assert Packing.side >= 256 / (1 - AugmentConfig().scale) * Packing.margin


def test_wider_augmentation_than_the_margin_is_refused(people, tmp_path):
    narrow = pack(tmp_path / "a.h5", people, Packing(margin=1.4))
    CropDataset(narrow, size=32)
    PyramidDataset(narrow, size=32, scales=(0.8, 1.4))
    told = message(ConfigError, CropDataset, narrow, size=32, ranges=AugmentConfig())
    assert "a.h5: packed with a margin of 1.4, but crops reach 1.708" in told
    assert "--margin 1.71" in told
    assert "crops reach 1.500" in message(ConfigError, PyramidDataset, concatenate([people, narrow]), size=32, scales=(1, 1.5))


# the same annotation, coordinates and splits


def test_people_are_those_of_the_photographs(people, tmp_path):
    read = pack(tmp_path / "a.h5", people)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(read, name), getattr(people, name), err_msg=name)
    assert (read.name, read.split, read.skeleton, read.box_source, read.left_out) == ("some", "all", LSP14, "test", {"crowd": 3})
    assert read.image_paths[1] == (tmp_path / "a.h5" / "deep" / "im1.png").as_posix()
    assert read.image_paths[0] == read.image_paths[4]  # who shares a photograph, shares its name


def test_predictions_come_back_in_pixels_of_the_photograph(tmp_path):
    people = make_people(tmp_path / "photographs", shape=(720, 1280), side=300.0)
    spots = people.centres + 40.0
    for i in range(len(people)):  # a photograph each
        image = np.zeros((720, 1280, 3), np.uint8)
        cv2.circle(image, np.rint(spots[i]).astype(int).tolist(), 12, (255, 255, 255), -1)
        cv2.imwrite(str(tmp_path / f"{i}.png"), cv2.GaussianBlur(image, None, 8))
    people = replace(people, image_paths=np.array([str(tmp_path / f"{i}.png") for i in range(len(people))]))

    def find_spot(images):
        weights = images.double().mean(-1)
        y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
        centre = [(weights * axis).sum((1, 2)) / weights.sum((1, 2)) for axis in (x, y)]
        return torch.stack(centre, -1)[:, None], torch.ones(len(images), 1)

    for these in (people, pack(tmp_path / "a.h5", people, Packing(side=200, quality=0))):
        batches = make_loader(CropDataset(these, size=64), EpochBatches(len(these), 4))
        points = np.concatenate([found[1] for found in predict_batches(batches, these, find_spot)])
        np.testing.assert_allclose(points[:, 0], np.rint(spots), atol=0.5)


def test_packed_people_can_be_selected_mapped_and_joined_with_others(people, tmp_path):
    read = pack(tmp_path / "a.h5", people)
    mixed = concatenate([people, read]).mapped_to(MPII16).select(np.array([8, 2, 11]))
    originals = people.mapped_to(MPII16).select(np.array([2, 2, 5]))
    assert differences(originals, mixed).max() <= 255 / 32


def test_another_box_than_the_packed_one_is_a_failure_of_that_person(people, tmp_path):
    read = pack(tmp_path / "a.h5", people)
    moved = replace(read, sides=read.sides * np.array([1, 1, 1.01, 1, 1, 1]))
    batch = collate([CropDataset(moved, size=32)[i] for i in range(6)])
    assert [failure.index for failure in batch.failures] == [2]
    assert "holds no person with this box" in batch.failures[0].message


def test_a_crop_is_cut_from_photograph_and_pack_alike(people, tmp_path):
    read = pack(tmp_path / "a.h5", people)
    crop = Crop(people[3].box, 64, rotation=10)
    np.testing.assert_array_equal(read[3].cut(crop), people[3].cut(crop))


def test_a_pack_of_all_is_divided_as_the_data_set_is(real_data, tmp_path):
    everyone = open_people("lsp", real_data / "lspet").select(np.arange(200))
    halves = {"train": everyone.select(np.arange(120)[::-1], "train"), "test": everyone.select(np.arange(120, 200), "test")}
    halves["test"] = replace(halves["test"], left_out={"no labelled joint": 2})
    strangers = open_people("lsp", real_data / "lspet").select(np.arange(190, 210))
    path = tmp_path / "a.h5"
    pack(path, everyone, official={**halves, "valid": strangers})
    for name, half in halves.items():
        read = open_people("packed", path, name)
        np.testing.assert_array_equal(read.joints, half.joints)
        assert (read.split, read.left_out) == (name, half.left_out)
    assert "no official valid split; take train, test, all" in message(ConfigError, open_people, "packed", path, "valid")
    assert "expected train, valid" in message(ConfigError, open_people, "packed", path, "half")


def test_random_splits_are_those_of_the_data_set(tmp_path):
    people = make_people(tmp_path / "photographs", 60, photographs=20)
    pack(tmp_path / "a.h5", people)
    for kind in ("random", "random-rest"):
        drawn_photographs = Annotations(people, np.full(60, ""), "test").choose(parse_split(f"{kind}:0.4:3"))
        read = open_people("packed", tmp_path / "a.h5", f"{kind}:0.4:3")
        np.testing.assert_array_equal(read.joints, drawn_photographs.joints)


def test_a_part_of_a_data_set_is_not_divided_at_random(people, tmp_path):
    read = pack(tmp_path / "a.h5", replace(people, split="random:0.9:1"), split="random:0.9:1")
    assert len(read) == 6
    assert len(open_people("packed", tmp_path / "a.h5")) == 6
    told = message(ConfigError, open_people, "packed", tmp_path / "a.h5", "random-rest:0.9:1")
    assert "holds the split random:0.9:1 of some" in told


# parts


def test_parts_are_within_their_size_and_read_as_one(tmp_path):
    people = make_people(tmp_path / "photographs", 40, photographs=3)
    whole = pack(tmp_path / "whole.h5", people)
    limit = 400_000
    pack(tmp_path / "a.h5", people, part_bytes=limit)
    parts = sorted(tmp_path.glob("a-*.h5"))
    assert len(parts) >= 3
    assert [part.name for part in parts[:2]] == ["a-000.h5", "a-001.h5"]
    assert all(part.stat().st_size <= limit for part in parts)
    for root in (parts[0], parts[1], tmp_path / "a.h5", tmp_path / "a-*.h5"):
        read = open_people("packed", root)
        assert read.image_paths[0] == f"{parts[0].as_posix()}/im0.png"
        np.testing.assert_array_equal(read.joints, whole.joints)
    assert not differences(whole, read, epochs=1).any()


def test_a_missing_or_foreign_part_is_named(tmp_path):
    people = make_people(tmp_path / "photographs", 40, photographs=3)
    pack(tmp_path / "a.h5", people, part_bytes=400_000)
    pack(tmp_path / "b.h5", people, Packing(margin=1.78, quality=0), part_bytes=400_000)
    assert "*.h5: fits several packed data sets" in message(ConfigError, open_people, "packed", tmp_path / "*.h5")
    shutil.copy(tmp_path / "b-001.h5", tmp_path / "a-001.h5")
    assert "a-001.h5: is not part 2 of" in message(DataError, open_people, "packed", tmp_path / "a.h5")
    (tmp_path / "a-001.h5").unlink()
    for root in ("a-000.h5", "a-002.h5", "a.h5", "a-*.h5"):
        assert "a-001.h5: part 2 of" in message(DataError, open_people, "packed", tmp_path / root)
    assert "no such file; give the .h5 file" in message(DataError, open_people, "packed", tmp_path / "c-*.h5")


def test_parts_too_small_for_a_person_are_refused_and_larger_ones_go_on(people, tmp_path):
    told = message(ConfigError, pack, tmp_path / "a.h5", people, part_bytes=80_000)
    assert re.search(r"part size 80,000 bytes: too small for person 0, who needs \d+kB", told)
    assert len(pack(tmp_path / "a.h5", people, part_bytes=200_000)) == 6


# interrupted runs


def interrupted_after(count, monkeypatch):
    made, cut = [], cuts._cut

    def stop(person, packing):
        if len(made) == count:
            raise KeyboardInterrupt
        made.append(person)
        return cut(person, packing)

    monkeypatch.setattr(cuts, "_cut", stop)
    return made


def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(tmp_path, monkeypatch):
    people = make_people(tmp_path / "photographs", 30)
    pack(tmp_path / "whole.h5", people)
    path = tmp_path / "a.h5"
    with monkeypatch.context() as patch:
        interrupted_after(20, patch)
        with pytest.raises(KeyboardInterrupt):
            pack(path, people)
    assert not path.exists()
    folder = tmp_path / "a.h5.unfinished"
    for name in ("crops", "people.jsonl"):  # as if it had been killed while it wrote
        with (folder / name).open("ab") as file:
            file.write(b'{"bytes": 17')
    with monkeypatch.context() as patch:
        made = interrupted_after(1000, patch)
        pack(path, people)
        assert len(made) == 30 - 16  # batches of 8
    assert path.read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert not folder.exists()


def test_crops_that_did_not_reach_the_disk_are_made_again(tmp_path, monkeypatch):
    people = make_people(tmp_path / "photographs", 30)
    pack(tmp_path / "whole.h5", people)
    with monkeypatch.context() as patch:
        interrupted_after(20, patch)
        with pytest.raises(KeyboardInterrupt):
            pack(tmp_path / "a.h5", people)
    crops = tmp_path / "a.h5.unfinished" / "crops"
    crops.write_bytes(crops.read_bytes()[:-100])
    pack(tmp_path / "a.h5", people)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_crops_that_changed_on_disk_are_refused(people, tmp_path):
    message(ConfigError, pack, tmp_path / "a.h5", people, part_bytes=80_000)  # stops when all are cut
    crops = tmp_path / "a.h5.unfinished" / "crops"
    crops.write_bytes(b"x" + crops.read_bytes()[1:])
    told = message(OutputError, pack, tmp_path / "a.h5", people)
    assert "crops: damaged; remove its folder" in told
    assert not (tmp_path / "a.h5").exists()


def test_an_unfinished_pack_of_something_else_is_kept(people, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupted_after(3, patch)
        with pytest.raises(KeyboardInterrupt):
            pack(tmp_path / "a.h5", people)
    told = message(OutputError, pack, tmp_path / "a.h5", people, Packing(margin=2.0))
    assert "a.h5.unfinished: was begun with other people or options" in told


def test_a_file_that_is_there_is_kept(people, tmp_path):
    (tmp_path / "a.h5").write_text("precious")
    assert "a.h5: is there already" in message(OutputError, pack, tmp_path / "a.h5", people)
    (tmp_path / "b-000.h5").write_text("precious")
    assert "b.h5: is there already" in message(OutputError, pack, tmp_path / "b.h5", people)
    assert (tmp_path / "a.h5").read_text() == (tmp_path / "b-000.h5").read_text() == "precious"


def test_a_folder_that_cannot_be_written(people, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in message(OutputError, pack, tmp_path / "file" / "a.h5", people)


@pytest.mark.slow
def test_workers_write_the_same_bytes_and_read_the_same_batches(tmp_path):
    people = make_people(tmp_path / "photographs", 30)
    read = pack(tmp_path / "a.h5", people)
    write_pack(tmp_path / "b.h5", people, RAW, workers=2, progress=False)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    dataset = CropDataset(read, size=32, ranges=AugmentConfig(), seed=3)
    batches = EpochBatches(30, 8, seed=1, shuffle=True)
    for got, keys in zip(make_loader(dataset, batches, workers=2), batches, strict=True):
        assert torch.equal(got.images, collate([dataset[key] for key in keys]).images)


def test_a_process_that_receives_packed_people_opens_the_pack_itself(people, tmp_path):
    read = pack(tmp_path / "a.h5", people)
    expected = drawn(read, epochs=1)
    for one, two in zip(drawn(pickle.loads(pickle.dumps(read)), epochs=1), expected, strict=True):
        np.testing.assert_array_equal(one.image, two.image)


# photographs that cannot be read, and damage


def test_an_unreadable_photograph_is_counted_and_named(tmp_path, capsys):
    people = make_people(tmp_path / "photographs", 200, photographs=200, shape=(60, 80), side=40.0)
    lost = tmp_path / "photographs" / "images" / "im6.png"
    lost.unlink()
    people = replace(people, centres=np.where(np.arange(200)[:, None] == 9, 5000.0, people.centres))
    files, failures = write_pack(tmp_path / "a.h5", people, RAW, workers=1, progress=False)
    assert [failure.index for failure in failures] == [6, 9]
    assert failures[0].message == f"person 6: {lost}: no such image"
    assert f"skipped: person 6: {lost}: no such image\n" in capsys.readouterr().out
    read = open_people("packed", files[0])
    batch = collate([CropDataset(read, size=32)[i] for i in range(200)])
    assert [failure.index for failure in batch.failures] == [6, 9]
    assert "a.h5: person 6 (im6.png): no such image" in batch.failures[0].message
    assert "lies wholly outside the picture" in batch.failures[1].message
    assert not batch.images[6].any()


def test_too_many_unreadable_photographs_end_the_run_which_goes_on_when_they_are_there(tmp_path):
    people = make_people(tmp_path / "photographs", 30, photographs=30)
    pack(tmp_path / "whole.h5", people)
    gone = tmp_path / "photographs" / "images" / "im10.png"
    gone.rename(tmp_path / "kept.png")
    told = message(DataError, pack, tmp_path / "a.h5", people)
    assert "1 of 30 packed samples cannot be read, more than 1 %" in told
    assert "im10.png: no such image" in told
    assert not (tmp_path / "a.h5").exists()
    (tmp_path / "kept.png").rename(gone)
    pack(tmp_path / "a.h5", people)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def changed(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_damaged_crop_is_an_unreadable_photograph_that_is_named(people, tmp_path):
    pack(tmp_path / "a.h5", people)
    with h5py.File(tmp_path / "a.h5") as file:
        start, ends = file["crops"].id.get_offset(), file["ends"][()]
    changed(tmp_path / "a.h5", start + int(ends[2]) + 5)  # in person 3
    read = open_people("packed", tmp_path / "a.h5")
    batch = collate([CropDataset(read, size=32)[i] for i in range(6)])
    (failure,) = batch.failures
    assert failure.index == 3
    assert failure.message.startswith(f"person 3: {tmp_path}/a.h5: person 3 (deep/im3.png): damaged, its checksum differs")
    assert not batch.labelled[3].any()
    assert batch.labelled[[0, 1, 2, 4, 5]].any(1).all()


def test_a_file_that_lost_its_end_after_it_was_opened(people, tmp_path):
    read = pack(tmp_path / "a.h5", people)
    data = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(data[: len(data) // 2])
    assert "damaged, its checksum differs" in message(ImageError, read[5].read)


def test_damaged_annotation_and_cut_off_files_are_refused(people, tmp_path):
    path = tmp_path / "a.h5"
    pack(path, people)
    data = path.read_bytes()
    joints = people.joints.tobytes()
    changed(path, data.index(joints[: len(joints) // 2]) + 6)
    assert "a.h5: damaged, the checksum of its annotation differs" in message(DataError, open_people, "packed", path)
    path.write_bytes(data[: len(data) // 2])
    assert "a.h5: not a packed data set that can be read" in message(DataError, open_people, "packed", path)


@pytest.mark.parametrize("content", ["", "text", "other", "format"])
def test_what_is_no_pack_is_refused(tmp_path, content):
    path = tmp_path / "a.h5"
    path.write_text(content)
    if content in ("other", "format"):
        with h5py.File(path, "w") as file:
            file["crops"] = np.zeros(3, np.uint8)
            if content == "format":
                file.attrs.update(header='{"format": "posekit packed people 99"}', checksum="")
    told = message(DataError, open_people, "packed", path)
    assert str(path) in told
    assert ("pack again" if content == "format" else "not a packed data set") in told


def test_a_pack_that_was_stored_anew_in_pieces_is_refused(people, tmp_path):
    pack(tmp_path / "a.h5", people)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        crops = file["crops"][()]
        del file["crops"]
        file.create_dataset("crops", data=crops, chunks=(1000,))
    assert "not stored in one piece" in message(DataError, open_people, "packed", tmp_path / "a.h5")


@pytest.mark.parametrize("wrong", [{"side": 8}, {"margin": 0.9}, {"margin": 11.0}, {"quality": 101}])
def test_packing_out_of_range_is_refused(wrong):
    (name,) = wrong
    assert message(ConfigError, Packing, **wrong).startswith(name)
