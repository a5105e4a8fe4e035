import csv
import pickle

import h5py
import numpy as np
import pytest

from posekit.errors import OutputError, PredictionsError
from posekit.scoring.io.files import read_predictions, stated_base, write_predictions
from posekit.skeletons import LSP14, MPII16


@pytest.fixture
def people(people_of):
    return people_of("images/b, 1.jpg", "images/a.jpg", "images/c.jpg")


def test_the_table_has_a_row_for_each_joint(tmp_path, make, people):
    wrote = make()
    wrote.joints[0, 1] = np.nan
    wrote.scores[2] = np.nan
    write_predictions(tmp_path / "table.csv", wrote, people=people)
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["index", "image", "joint", "x", "y", "score"] and len(rows) == 3 * 14
    assert [rows[i]["index"] for i in (0, 14, 28)] == ["2", "0", "1"]
    assert [rows[i]["image"] for i in (0, 14, 28)] == ["c.jpg", "b, 1.jpg", "a.jpg"]
    assert [row["joint"] for row in rows[:14]] == list(LSP14.joints)
    assert rows[1]["x"] == rows[1]["y"] == "" and rows[28]["score"] == ""
    numbers = np.array([[float(row[name] or "nan") for name in ("x", "y", "score")] for row in rows]).reshape(3, 14, 3)
    np.testing.assert_array_equal(numbers[..., :2], wrote.joints)
    np.testing.assert_array_equal(numbers[..., 2], wrote.scores)


@pytest.mark.parametrize("name", ["model.pth", "preds.pkl", "preds.npy", "preds", "table.csv"])
def test_other_formats_are_not_opened(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps({"preds": 1}))
    for read in (read_predictions, stated_base):
        with pytest.raises(PredictionsError, match=r"\.h5 .*\.hdf5 .*\.mat .*\.json ") as error:
            read(tmp_path / name)
        assert str(error.value).startswith(str(tmp_path / name)) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["absent.h5", "absent.mat", "absent.json", "FOLDER.H5"])
def test_a_file_that_is_not_there(tmp_path, name):
    (tmp_path / "FOLDER.H5").mkdir()
    for read in (read_predictions, stated_base):
        with pytest.raises(PredictionsError, match=name):
            read(tmp_path / name)


def test_a_format_that_cannot_be_written(tmp_path, make, people):
    with pytest.raises(OutputError, match=r"preds\.npy: .*\.h5, \.json, \.csv, \.mat"):
        write_predictions(tmp_path / "preds.npy", make(), people=people)


@pytest.mark.parametrize("suffix", [".json", ".csv", ".mat"])
def test_people_are_required_and_must_be_those_predicted(tmp_path, make, people, suffix):
    with pytest.raises(ValueError, match=f"^people: .*{suffix}"):
        write_predictions(tmp_path / f"preds{suffix}", make())
    with pytest.raises(PredictionsError, match=f"preds{suffix}: .*index 2 .*lsp test has 2 "):
        write_predictions(tmp_path / f"preds{suffix}", make(), people=people.select(np.arange(2)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".h5", ".json", ".csv", ".mat"])
def test_a_folder_that_cannot_be_made(tmp_path, make, people, suffix):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=f"predictions{suffix}"):
        write_predictions(tmp_path / "file" / f"predictions{suffix}", make(MPII16), people=people)


def test_capital_suffixes(tmp_path, make):
    write_predictions(tmp_path / "PREDS.H5", make())
    assert h5py.is_hdf5(tmp_path / "PREDS.H5") and len(read_predictions(tmp_path / "PREDS.H5")) == 3
