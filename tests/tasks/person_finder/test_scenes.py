"""Scenes pasted together from photographs of one person each."""

import numpy as np
import pytest
import torch

from posekit.data import open_people
from posekit.images import write_image
from posekit.synthetic.write import write_synthetic
from posekit.tasks.person_finder.scenes import MOST, SceneDataset

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


def known(batch):
    return [theirs[~np.isnan(theirs[:, 0])] for theirs in batch.people.numpy()]


def test_scenes_have_people_or_none_inside(scenes):
    batch = scenes.__getitems__(KEYS)
    assert batch.images.shape == (len(KEYS), SIZE, SIZE, 3) and batch.images.dtype == torch.uint8
    assert batch.people.shape == (len(KEYS), MOST, 3) and batch.index.tolist() == [index for _, index in KEYS]
    counts = [len(theirs) for theirs in known(batch)]
    assert min(counts) == 0 and max(counts) >= 3 and not batch.failures
    everyone = np.concatenate(known(batch))
    assert (everyone[:, :2] >= 0).all() and (everyone[:, :2] <= SIZE - 1).all()
    assert (everyone[:, 2] > 0).all() and (everyone[:, 2] <= SIZE).all() and np.ptp(everyone[:, 2]) > SIZE / 2


def test_a_scene_depends_on_seed_epoch_and_place_alone(scenes, people):
    one = scenes.__getitems__([(1, 5)])
    among = scenes.__getitems__([(0, 5), (1, 5)])
    assert torch.equal(one.images[0], among.images[1]) and torch.equal(one.people[0].nan_to_num(), among.people[1].nan_to_num())
    assert not torch.equal(among.images[0], among.images[1])
    other = SceneDataset(people, (), size=SIZE, seed=4).__getitems__([(1, 5)])
    assert not torch.equal(one.images, other.images)


def test_people_stand_where_the_truth_says(tmp_path):
    """A person of one colour, in a photograph of another: the box around what has the colour."""
    people = coloured(tmp_path)
    scenes = SceneDataset(people, [np.zeros((32, 32, 3), np.uint8)], size=SIZE, seed=0)
    batch = scenes.__getitems__([(epoch, 0) for epoch in range(60)])
    alone = [(image, theirs[0]) for image, theirs in zip(batch.images.numpy(), known(batch), strict=True) if len(theirs) == 1]
    checked = 0
    for image, (x, y, side) in alone:
        red = (image[..., 0] > 1.5 * image[..., 1].astype(int)) & (image[..., 0] > 60)
        rows, columns = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
        if len(rows) and rows[0] > 1 and rows[-1] < SIZE - 2 and columns[0] > 1 and columns[-1] < SIZE - 2:
            extents = [places[-1] - places[0] + 1 for places in (columns, rows)]
            middle = [(places[-1] + places[0]) / 2 for places in (columns, rows)]
            assert np.allclose(middle, (x, y), atol=2.5) and max(extents) == pytest.approx(side, abs=4)
            checked += 1
    assert checked >= 8


def coloured(folder):
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


def test_whose_photograph_is_gone_is_left_out_and_named(people):
    gone = people.select(np.arange(2))
    gone = type(gone)(
        **{name: getattr(gone, name) for name in gone.__dataclass_fields__} | {"image_paths": np.array(["gone.png"] * 2)}
    )
    batch = SceneDataset(gone, (), size=SIZE).__getitems__([(0, index) for index in (0, 1)] + [(1, 0), (2, 0)])
    assert batch.failures and "person" in batch.failures[0].message and "gone.png" in batch.failures[0].message
    assert all(len(theirs) == 0 for theirs in known(batch))


def test_an_empty_batch(scenes):
    batch = scenes.__getitems__([])
    assert len(batch) == 0 and batch.images.shape == (0, SIZE, SIZE, 3)


def test_real_people_are_pasted(real_data):
    people = open_people("lsp", real_data / "lspet", "random:0.01:0")
    batch = SceneDataset(people, (), size=256).__getitems__([(0, index) for index in range(16)])
    assert sum(map(len, known(batch))) > 16 and not batch.failures
