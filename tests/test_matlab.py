import numpy as np
import pytest
from scipy.io import savemat

from posekit.errors import DataError
from posekit.matlab import load_variables


def test_the_named_variables_are_read(tmp_path):
    path = tmp_path / "some.mat"
    savemat(path, {"a": np.arange(3.0), "b": np.ones((2, 3, 5)), "c": "text"})
    variables = load_variables(path, "b", "c")
    assert variables["b"].shape == (2, 3, 5)
    assert variables["c"].tolist() == ["text"]
    assert "a" not in variables
    with pytest.raises(DataError, match=r"some\.mat: .*joints.* a, b, c"):
        load_variables(path, "a", "joints")


def test_a_file_of_another_format(tmp_path):
    path = tmp_path / "joints.mat"
    path.write_bytes(b"not matlab at all" * 20)
    with pytest.raises(DataError, match=r"joints\.mat: "):
        load_variables(path, "joints")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kept", [0, 60, 140, 200, 0.5, 0.99])
def test_a_truncated_file(tmp_path, kept, compressed):
    path = tmp_path / "cut.mat"
    savemat(path, {"preds": np.random.default_rng(0).random((5, 16, 2))}, do_compression=compressed)
    whole = path.read_bytes()
    path.write_bytes(whole[: kept if kept >= 1 else int(kept * len(whole))])
    with pytest.raises(DataError, match=r"cut\.mat: "):
        load_variables(path, "preds")
