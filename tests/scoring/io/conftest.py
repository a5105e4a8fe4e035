"""Fixtures of the tests of prediction files."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from posekit.people import People
from posekit.scoring.io.predictions import Predictions
from posekit.skeletons import LSP14
from tests.fixtures.people import make_people

N, P = 3, 4


@pytest.fixture
def make() -> Callable[..., Predictions]:
    """Predictions for three people of LSP, the last one first; fields can be changed."""

    def make(skeleton=LSP14, *, with_peaks=False, **changes):
        k = len(skeleton)
        rng = np.random.default_rng(0)
        fields = {"joints": rng.normal(300, 200, (N, k, 2)), "scores": rng.random((N, k)), "index": np.array([2, 0, 1])}
        if with_peaks:
            fields["peaks"] = rng.normal(300, 200, (N, k, P, 2))
            fields["heights"] = -np.sort(-rng.random((N, k, P)))
        return Predictions(skeleton=skeleton, dataset="lsp", split="test", **(fields | changes))

    return make


@pytest.fixture
def people_of() -> Callable[..., People]:
    """One person for each image path; the box of person i has its centre at (10 i, 100 + i)."""

    def people_of(*image_paths, skeleton=LSP14):
        centres = np.array([(10 * i, 100 + i) for i in range(len(image_paths))], np.float64).reshape(-1, 2)
        paths = np.array(image_paths, dtype=str)
        return make_people(image_paths=paths, centres=centres, skeleton=skeleton, split="test")

    return people_of


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
