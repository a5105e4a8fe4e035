import re
from pathlib import Path

import numpy as np
import pytest

from posekit.data.splits import Annotations, Split, join, parse_split, random_images, split_of_file
from posekit.errors import ConfigError, DataError
from tests.fixtures.people import make_people


def annotations(image_paths: list[str], reasons=None, official=None) -> Annotations:
    people = make_people(name="few", split="all", image_paths=np.array(image_paths, dtype=str))
    reasons = [""] * len(people) if reasons is None else reasons
    return Annotations(people, np.array(reasons, dtype=str), "few.json", official or {})


IMAGE_PATHS = [f"/data/set/images/{i // 3:03d}.jpg" for i in range(300)]  # three people in each of 100 images


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("train", Split("train", "train")),
        ("all", Split("all", "all")),
        ("random:0.9:1", Split("random:0.9:1", "random", 0.9, 1)),
        ("random-rest:.25:07", Split("random-rest:.25:07", "random-rest", 0.25, 7)),
    ],
)
def test_splits_are_parsed(text, split):
    assert parse_split(text) == split


@pytest.mark.parametrize(
    "text",
    ["", "Train", "random", "random:0.9", "random:0:1", "random:1:1", "random:1.5:1", "random:nan:1", "random:0.5:-1",
     "random:0.5:x", "random:0.5:1:2", "rest:0.5:1", "random:0.5:1\n"],
)  # fmt: skip
def test_malformed_split_names_the_forms(text):
    forms = r"train, valid, test, all, random:FRACTION:SEED or random-rest:FRACTION:SEED"
    with pytest.raises(ConfigError, match=f"{re.escape(repr(text))}.*{forms}"):
        parse_split(text)


@pytest.mark.parametrize(
    ("name", "split"),
    [("valid.h5", "valid"), ("mpii_val.json", "valid"), ("train.json", "train"), ("mpii_trainval.json", "all"),
     ("person_keypoints_val2017.json", "valid"), ("person_keypoints_train2017.json", "train"), ("train_val.json", "all"),
     ("test_coco.json", "test"), ("mpii_annotations.json.gz", "all"), ("invalid.json", "all")],
)  # fmt: skip
def test_split_in_a_file_name(name, split):
    assert split_of_file(Path("train") / name) == split


def test_random_splits_are_disjoint_and_complete_and_divide_images():
    everyone = annotations(IMAGE_PATHS)
    share = everyone.choose(parse_split("random:0.7:5"))
    rest = everyone.choose(parse_split("random-rest:0.7:5"))
    assert len(share) == 210
    assert len(rest) == 90
    assert not set(share.image_paths) & set(rest.image_paths)
    assert set(share.image_paths) | set(rest.image_paths) == set(IMAGE_PATHS)
    assert share.split == "random:0.7:5"


def test_only_the_seed_changes_a_random_split():
    image_paths = np.array(IMAGE_PATHS)
    drawn = random_images(image_paths, 0.5, 1)
    assert (drawn != random_images(image_paths, 0.5, 2)).any()
    order = np.random.default_rng(0).permutation(len(image_paths))
    np.testing.assert_array_equal(drawn[order], random_images(image_paths[order], 0.5, 1))
    elsewhere = np.array([path.replace("/data/set/", "other/place/") for path in IMAGE_PATHS])
    np.testing.assert_array_equal(drawn, random_images(elsewhere, 0.5, 1))


def test_random_split_is_the_same_on_every_machine():
    # The ranks are blake2b of "SEED/NAME": these were drawn once and must not change, or published splits would.
    image_paths = np.array([f"images/im{i:05d}.jpg" for i in range(1, 11)])
    assert np.flatnonzero(random_images(image_paths, 0.3, 1)).tolist() == [2, 5, 7]


def test_a_smaller_fraction_is_a_subset_of_a_larger_one():
    image_paths = np.array(IMAGE_PATHS)
    assert (random_images(image_paths, 0.2, 3) <= random_images(image_paths, 0.6, 3)).all()


def test_the_same_file_name_in_two_folders_is_two_images():
    image_paths = np.array([f"clips/{clip}/0001.jpg" for clip in range(40)])
    assert random_images(image_paths, 0.5, 0).sum() == 20


@pytest.mark.parametrize(("count", "fraction", "drawn"), [(2, 0.01, 1), (2, 0.99, 1), (1, 0.5, 1), (0, 0.5, 0)])
def test_few_images(count, fraction, drawn):
    image_paths = np.array([f"{i}.jpg" for i in range(count)], dtype=str)
    assert random_images(image_paths, fraction, 0).sum() == drawn


def test_an_official_split_keeps_its_order():
    people = annotations(["a", "b", "c"], official={"valid": np.array([2, 0])}).choose(parse_split("valid"))
    assert people.image_paths.tolist() == ["c", "a"]


def test_a_missing_split_lists_the_others():
    with pytest.raises(ConfigError, match=r"few\.json .*\btest\b.* valid, all, .*random:FRACTION:SEED"):
        annotations(["a"], official={"valid": np.array([0])}).choose(parse_split("test"))


def test_people_left_out_are_counted_in_their_own_split():
    everyone = annotations(["a", "b", "c", "d"], ["", "crowd", "crowd", ""], {"train": np.array([0, 1]), "test": np.array([2, 3])})
    assert everyone.choose(parse_split("all")).left_out == {"crowd": 2}
    train = everyone.choose(parse_split("train"))
    assert train.image_paths.tolist() == ["a"]
    assert train.left_out == {"crowd": 1}


@pytest.mark.parametrize("image_paths", [[], ["a", "b"]])
def test_a_split_without_people_is_an_error(image_paths):
    with pytest.raises(DataError, match="few all: .*2 .*crowd" if image_paths else "few all"):
        annotations(image_paths, ["crowd"] * len(image_paths)).choose(parse_split("all"))


def test_the_rest_of_a_single_image_is_an_error():
    with pytest.raises(DataError, match=r"few random-rest:0\.5:1"):
        annotations(["a.jpg", "a.jpg"]).choose(parse_split("random-rest:0.5:1"))


def test_join_keeps_the_splits_of_each_file():
    train = annotations(["a", "b"], official={"train": np.arange(2)})
    valid = annotations(["c"], ["crowd"], {"valid": np.arange(1)})
    both = join([train, valid])
    assert both.people.name == "few"
    assert {name: indices.tolist() for name, indices in both.official.items()} == {"train": [0, 1], "valid": [2]}
    assert both.reasons.tolist() == ["", "", "crowd"]
