"""MPII's real files: counts, order, agreement between the forms, and published scores."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import loadmat

from posekit.data import open_people
from posekit.data.mpii import official_validation, open_mpii
from posekit.errors import ConfigError
from posekit.images import read_image


@pytest.fixture(scope="module")
def forms(real_data, tmp_path_factory):
    """Real validation set from each form without the evaluation file, and as it is scored."""
    folder = tmp_path_factory.mktemp("mpii")
    for name in ("valid.h5", "mpii_annotations.json.gz"):
        shutil.copy(real_data / "mpii" / "annot" / name, folder)
    return {
        "h5": open_mpii(folder / "valid.h5", "valid"),
        "json": open_mpii(folder / "mpii_annotations.json.gz", "valid"),
        "scored": open_people("mpii", real_data / "mpii", "valid"),
    }


def names(people) -> list[str]:
    return [Path(path).name for path in people.image_paths]


def test_real_counts(real_mpii_train, forms):
    train = real_mpii_train
    valid = forms["json"]
    assert (len(train), len(valid)) == (22246, 2958)
    assert len(set(valid.image_paths)) == 2729
    assert not set(names(train)) & set(names(valid))
    assert train.left_out == {}
    assert train.box_source == "position and scale of mpii_annotations.json.gz"
    assert (~train.labelled).sum() + (~valid.labelled).sum() == 27001  # (0, 0) in the file


def test_real_order_is_that_of_valid_h5(real_data, forms):
    listed = (real_data / "mpii" / "annot" / "valid_images.txt").read_text().split()
    for people in forms.values():
        assert names(people) == listed
    with h5py.File(real_data / "mpii" / "annot" / "valid.h5") as file:
        pairs = zip(listed, file["person"][()].astype(int).tolist(), strict=True)
        assert official_validation() == tuple(pairs)


def test_real_h5_and_json_agree(forms):
    h5 = forms["h5"]
    record_form = forms["json"]
    np.testing.assert_array_equal(h5.labelled, record_form.labelled)
    np.testing.assert_array_equal(h5.visible, record_form.visible)
    exact = [k for k in range(16) if k not in (8, 9)]  # the HDF5 form truncates upper neck and head top to whole pixels
    np.testing.assert_array_equal(h5.joints[:, exact], record_form.joints[:, exact])
    assert np.abs(h5.joints - record_form.joints).max() <= 1
    assert np.abs(h5.centres - record_form.centres).max() < 0.0076  # the JSON has three decimals: 15 * 0.0005
    assert np.abs(h5.sides - record_form.sides).max() < 0.126  # 250 * 0.0005


def test_real_evaluation_file_is_the_truth_of_valid(real_data, forms):
    scored = forms["scored"]
    record_form = forms["json"]
    np.testing.assert_array_equal(scored.labelled, record_form.labelled)
    np.testing.assert_array_equal(scored.sides, forms["h5"].sides)
    assert scored.box_source == "position and scale of valid.h5"  # fast to read; the JSON takes seconds
    truth = loadmat(real_data / "mpii" / "annot" / "detections_our_format.mat")
    np.testing.assert_array_equal(scored.joints[scored.labelled], truth["pos_gt_src"].transpose(2, 0, 1)[scored.labelled] - 1)
    off = np.abs(scored.joints - record_form.joints).max(-1) > 0.001
    assert off.sum() == 13  # joints of which the evaluation file has lost a coordinate
    np.testing.assert_array_equal((scored.joints[off] == -1).any(1), True)
    np.testing.assert_allclose(scored.head_sizes, forms["h5"].head_sizes, atol=1e-4)


def test_real_predictions_score_as_published(real_data, forms):
    # protocols.md: Head 95.941, Ankle 79.050, of the published predictions, which count pixels from 1.
    with h5py.File(real_data / "mpii" / "predictions" / "valid-ours.h5") as file:
        predicted = file["preds"][()] - 1
    people = forms["scored"]
    correct = np.linalg.norm(predicted - people.joints, axis=-1) <= 0.5 * people.head_sizes[:, None]
    score = [100 * correct[people.labelled[:, k], k].mean() for k in range(16)]
    assert score[9] == pytest.approx(95.941, abs=5e-4)
    assert (score[0] + score[5]) / 2 == pytest.approx(79.050, abs=5e-4)


def test_real_joints_lie_in_their_images(real_data, forms):
    present = {path.name for path in (real_data / "mpii" / "images").glob("*.jpg")}
    persons = [person for person in forms["scored"] if Path(person.image_path).name in present]
    assert len(persons) == 5
    for person in persons:
        height, width = read_image(person.image_path).shape[:2]
        inside = (person.joints >= -0.5) & (person.joints < (width - 0.5, height - 0.5))
        assert inside[person.labelled].all()


def test_single_file_holds_one_split(real_data):
    with pytest.raises(ConfigError, match=r"valid\.h5 .*\btrain\b.* valid, all"):
        open_mpii(real_data / "mpii" / "annot" / "valid.h5", "train")
