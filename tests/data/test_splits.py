from pathlib import Path

import numpy as np
import pytest

from posekit.data.splits import Annotations, Split, join, parse_split, random_photographs, split_of_file
from posekit.errors import ConfigError, DataError
from posekit.people import People
from posekit.skeletons import LSP14


def people_in(images: list[str]) -> People:
    n = len(images)
    return People(
        name="few",
        split="all",
        skeleton=LSP14,
        image_paths=np.array(images, dtype=str),
        joints=np.ones((n, 14, 2)),
        labelled=np.ones((n, 14), bool),
        visible=np.ones((n, 14), bool),
        centres=np.ones((n, 2)),
        sides=np.ones(n),
        head_sizes=np.full(n, np.nan),
        box_source="none",
    )


def annotations(images: list[str], reasons=None, official=None) -> Annotations:
    reasons = np.array(reasons if reasons is not None else [""] * len(images), dtype=str)
    return Annotations(people_in(images), reasons, "few.json", official or {})


PHOTOS = [f"/data/set/images/{i // 3:03d}.jpg" for i in range(300)]  # three persons on each of 100


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("train", Split("train", "train")),
        ("all", Split("all", "all")),
        ("random:0.9:1", Split("random:0.9:1", "random", 0.9, 1)),
        ("random-rest:.25:07", Split("random-rest:.25:07", "random-rest", 0.25, 7)),
    ],
)
def test_split_is_read(text, split):
    assert parse_split(text) == split


@pytest.mark.parametrize(
    "text",
    ["", "Train", "random", "random:0.9", "random:0:1", "random:1:1", "random:1.5:1", "random:nan:1", "random:0.5:-1",
     "random:0.5:x", "random:0.5:1:2", "rest:0.5:1", "random:0.5:1\n"],
)  # fmt: skip
def test_malformed_split_names_the_forms(text):
    with pytest.raises(ConfigError, match=r"expected train, valid, test, all, random:FRACTION:SEED or random-rest") as caught:
        parse_split(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "split"),
    [("valid.h5", "valid"), ("mpii_val.json", "valid"), ("train.json", "train"), ("mpii_trainval.json", "all"),
     ("person_keypoints_val2017.json", "valid"), ("person_keypoints_train2017.json", "train"), ("train_val.json", "all"),
     ("test_coco.json", "test"), ("mpii_annotations.json.gz", "all"), ("invalid.json", "all")],
)  # fmt: skip
def test_split_that_a_file_name_says(name, split):
    assert split_of_file(Path("train") / name) == split


def test_random_splits_are_disjoint_complete_and_by_photograph():
    everyone = annotations(PHOTOS)
    taken = everyone.choose(parse_split("random:0.7:5"))
    rest = everyone.choose(parse_split("random-rest:0.7:5"))
    assert len(taken) == 210
    assert len(rest) == 90
    assert not set(taken.image_paths) & set(rest.image_paths)
    assert set(taken.image_paths) | set(rest.image_paths) == set(PHOTOS)
    assert taken.split == "random:0.7:5"


def test_seed_changes_the_split_and_nothing_else_does():
    images = np.array(PHOTOS)
    drawn = random_photographs(images, 0.5, 1)
    assert (drawn != random_photographs(images, 0.5, 2)).any()
    order = np.random.default_rng(0).permutation(len(images))
    np.testing.assert_array_equal(drawn[order], random_photographs(images[order], 0.5, 1))
    elsewhere = np.array([photo.replace("/data/set/", "other/place/") for photo in PHOTOS])
    np.testing.assert_array_equal(drawn, random_photographs(elsewhere, 0.5, 1))


def test_random_split_is_the_same_on_every_machine():
    # The ranks are blake2b of "SEED/NAME": these were drawn once and must not change, or published splits would.
    images = np.array([f"images/im{i:05d}.jpg" for i in range(1, 11)])
    assert np.flatnonzero(random_photographs(images, 0.3, 1)).tolist() == [2, 5, 7]


def test_smaller_fraction_is_a_part_of_a_larger_one():
    images = np.array(PHOTOS)
    assert (random_photographs(images, 0.2, 3) <= random_photographs(images, 0.6, 3)).all()


def test_same_file_name_in_two_folders_is_two_photographs():
    images = np.array([f"clips/{clip}/0001.jpg" for clip in range(40)])
    assert random_photographs(images, 0.5, 0).sum() == 20


@pytest.mark.parametrize(("count", "fraction", "drawn"), [(2, 0.01, 1), (2, 0.99, 1), (1, 0.5, 1), (0, 0.5, 0)])
def test_few_photographs(count, fraction, drawn):
    images = np.array([f"{i}.jpg" for i in range(count)], dtype=str)
    assert random_photographs(images, fraction, 0).sum() == drawn


def test_official_split_keeps_its_order():
    people = annotations(["a", "b", "c"], official={"valid": np.array([2, 0])}).choose(parse_split("valid"))
    assert people.image_paths.tolist() == ["c", "a"]


def test_split_that_is_not_there_names_those_that_are():
    with pytest.raises(ConfigError, match=r"few.json holds no official test split; take valid, all, or random:FRACTION:SEED"):
        annotations(["a"], official={"valid": np.array([0])}).choose(parse_split("test"))


def test_those_left_out_are_counted_in_their_own_split():
    file = annotations(["a", "b", "c", "d"], ["", "crowd", "crowd", ""], {"train": np.array([0, 1]), "test": np.array([2, 3])})
    assert file.choose(parse_split("all")).left_out == {"crowd": 2}
    train = file.choose(parse_split("train"))
    assert train.image_paths.tolist() == ["a"]
    assert train.left_out == {"crowd": 1}


@pytest.mark.parametrize("images", [[], ["a", "b"]])
def test_nobody_to_use_is_an_error(images):
    with pytest.raises(DataError, match=r"few all: no person to use" + ("; 2 left out: crowd" if images else "")):
        annotations(images, ["crowd"] * len(images)).choose(parse_split("all"))


def test_rest_of_a_single_photograph_is_an_error():
    with pytest.raises(DataError, match="no person to use"):
        annotations(["a.jpg", "a.jpg"]).choose(parse_split("random-rest:0.5:1"))


def test_join_keeps_each_files_splits():
    train = annotations(["a", "b"], official={"train": np.arange(2)})
    valid = annotations(["c"], ["crowd"], {"valid": np.arange(1)})
    both = join([train, valid])
    assert both.people.name == "few"
    assert {name: indices.tolist() for name, indices in both.official.items()} == {"train": [0, 1], "valid": [2]}
    assert both.reasons.tolist() == ["", "", "crowd"]
