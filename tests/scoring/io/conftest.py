"""What the tests of prediction files share."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from posekit.people import People
from posekit.scoring.io.predictions import Predictions
from posekit.skeletons import LSP14

N, P = 3, 4


@pytest.fixture
def make() -> Callable[..., Predictions]:
    """Predictions for three persons of LSP, the last one first; fields can be changed."""

    def make(skeleton=LSP14, *, with_peaks=False, **changes):
        k, rng = len(skeleton), np.random.default_rng(0)
        fields = {"joints": rng.normal(300, 200, (N, k, 2)), "scores": rng.random((N, k)), "index": np.array([2, 0, 1])}
        peaks = {"peaks": rng.normal(300, 200, (N, k, P, 2)), "heights": -np.sort(-rng.random((N, k, P)))} if with_peaks else {}
        return Predictions(skeleton=skeleton, dataset="lsp", split="test", **(fields | peaks | changes))

    return make


@pytest.fixture
def make_people() -> Callable[..., People]:
    """One person for each photograph's path; the box of person i has its centre at (10 i, 100 + i)."""

    def make_people(*images, skeleton=LSP14):
        n, k = len(images), len(skeleton)
        return People(
            name="lsp",
            split="test",
            skeleton=skeleton,
            image_paths=np.array(images, dtype=str),
            joints=np.zeros((n, k, 2)),
            labelled=np.ones((n, k), bool),
            visible=np.ones((n, k), bool),
            centres=np.array([(10 * i, 100 + i) for i in range(n)], np.float64).reshape(-1, 2),
            sides=np.full(n, 50.0),
            head_sizes=np.full(n, np.nan),
            box_source="made up",
        )

    return make_people


@pytest.fixture
def h5() -> Callable[..., Path]:
    """Writes an HDF5 file of any contents."""

    def h5(path, attributes=(), **arrays):
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
            file.attrs.update(dict(attributes))
        return path

    return h5
