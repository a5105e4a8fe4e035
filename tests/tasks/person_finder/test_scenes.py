"""Scenes composed of images of single people."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from posekit.data import open_people
from posekit.images import write_image
from posekit.synthetic.write import write_synthetic
from posekit.tasks.person_finder.scenes import MOST, SceneDataset, known_people

SIZE = 128
KEYS = [(epoch, index) for epoch in range(4) for index in range(12)]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_synthetic(folder / "synthetic", people=12, seed=0, workers=1, progress=False)
    return open_people("mpii", folder / "synthetic", "all")


@pytest.fixture(scope="module")
def scenes(people):
    return SceneDataset(people, (), size=SIZE, seed=3)


def test_scenes_have_several_people_or_none_inside(scenes):
    batch = scenes.__getitems__(KEYS)
    assert batch.images.shape == (len(KEYS), SIZE, SIZE, 3) and batch.images.dtype == torch.uint8
    assert batch.people.shape == (len(KEYS), MOST, 3) and batch.index.tolist() == [index for _, index in KEYS]
    counts = [len(people) for people in known_people(batch)]
    assert min(counts) == 0 and max(counts) >= 3 and not batch.failures
    everyone = np.concatenate(known_people(batch))
    assert (everyone[:, :2] >= 0).all() and (everyone[:, :2] <= SIZE - 1).all()
    assert (everyone[:, 2] > 0).all() and (everyone[:, 2] <= SIZE).all() and np.ptp(everyone[:, 2]) > SIZE / 2


def test_a_scene_depends_on_seed_epoch_and_index_only(scenes, people):
    one = scenes.__getitems__([(1, 5)])
    among = scenes.__getitems__([(0, 5), (1, 5)])
    assert torch.equal(one.images[0], among.images[1]) and torch.equal(one.people[0].nan_to_num(), among.people[1].nan_to_num())
    assert not torch.equal(among.images[0], among.images[1])
    other = SceneDataset(people, (), size=SIZE, seed=4).__getitems__([(1, 5)])
    assert not torch.equal(one.images, other.images)


def test_people_are_where_the_annotation_says(tmp_path):
    """The annotated box of a red person in a grey image is the box around the red pixels."""
    people = red_person(tmp_path)
    scenes = SceneDataset(people, [np.zeros((32, 32, 3), np.uint8)], size=SIZE, seed=0)
    batch = scenes.__getitems__([(epoch, 0) for epoch in range(60)])
    checked = 0
    for image, annotated in zip(batch.images.numpy(), known_people(batch), strict=True):
        red = (image[..., 0] > 1.5 * image[..., 1].astype(int)) & (image[..., 0] > 60)
        rows = np.flatnonzero(red.any(1))
        columns = np.flatnonzero(red.any(0))
        if len(annotated) == 1 and is_inside(rows) and is_inside(columns):
            x, y, side = annotated[0]
            assert (columns[-1] + columns[0]) / 2 == pytest.approx(x, abs=2.5)
            assert (rows[-1] + rows[0]) / 2 == pytest.approx(y, abs=2.5)
            assert max(len(rows), len(columns)) == pytest.approx(side, abs=4)
            checked += 1
    assert checked >= 8


def is_inside(pixels):
    return len(pixels) and pixels[0] > 1 and pixels[-1] < SIZE - 2


def red_person(folder):
    """One person whose joints lie at the edges of a red rectangle."""
    write_synthetic(folder / "synthetic", people=1, seed=0, workers=1, progress=False)
    people = open_people("mpii", folder / "synthetic", "all")
    image = np.full((90, 120, 3), 90, np.uint8)
    image[20:70, 40:70] = (0, 0, 200)
    write_image(folder / "red.png", image)
    people.image_paths[:] = np.array([str(folder / "red.png")])
    k = len(people.skeleton)
    people.joints[0] = np.column_stack([np.where(np.arange(k) % 2, 39.5, 69.5), np.linspace(19.5, 69.5, k)])
    people.labelled[:] = True
    return people


def test_people_whose_image_is_missing_are_left_out_and_named(people):
    gone = replace(people.select(np.arange(2)), image_paths=np.array(["gone.png"] * 2))
    batch = SceneDataset(gone, (), size=SIZE).__getitems__([(0, index) for index in (0, 1)] + [(1, 0), (2, 0)])
    assert batch.failures and "person" in batch.failures[0].message and "gone.png" in batch.failures[0].message
    assert not any(map(len, known_people(batch)))


def test_an_empty_batch(scenes):
    batch = scenes.__getitems__([])
    assert len(batch) == 0 and batch.images.shape == (0, SIZE, SIZE, 3)


def test_real_people_are_pasted(real_data):
    people = open_people("lsp", real_data / "lspet", "random:0.01:0")
    batch = SceneDataset(people, (), size=256).__getitems__([(0, index) for index in range(16)])
    assert sum(map(len, known_people(batch))) > 16 and not batch.failures
