import contextlib
import io
import json
from math import exp, sqrt

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from posekit.data import open_people
from posekit.metrics import average_precision, oks, tight_area
from posekit.skeletons import COCO17

N, K = 5, 3
SIGMAS = np.array([0.05, 0.1, 0.025])


def example(seed=0, noise=6.0):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 100, (N, K, 2))
    labelled = rng.random((N, K)) < 0.7
    labelled[:, 1] = True
    return truth + rng.normal(0, noise, truth.shape), truth, labelled, rng.uniform(2000, 9000, N)


def test_known_value():
    # Distances 5 and 0 px, area 400: the first joint adds exp(-25 / (2 * (2 * 0.05)^2 * 400)) = exp(-3.125).
    pred = np.array([[[3.0, 4.0], [9.0, 9.0], [70.0, 0.0]]])
    truth = np.array([[[0.0, 0.0], [9.0, 9.0], [0.0, 0.0]]])
    found = oks(pred, truth, np.array([[True, True, False]]), area_N=[400.0], sigmas_K=SIGMAS)
    assert found == pytest.approx([(exp(-3.125) + 1) / 2])


def test_one_sigma_away():
    # At twice a sigma times the root of the area, the exponent is -1/2, whatever the sigma.
    truth = np.zeros((1, K, 2))
    pred = truth + (2 * SIGMAS * sqrt(5000.0))[:, None] * [0.6, 0.8]
    assert oks(pred, truth, np.ones((1, K), bool), area_N=[5000.0], sigmas_K=SIGMAS) == pytest.approx([exp(-0.5)])


def test_a_joint_that_is_not_predicted_adds_nothing():
    pred = np.zeros((1, K, 2))
    truth = np.zeros((1, K, 2))
    pred[0, 0] = np.nan
    pred[0, 1, 1] = np.inf
    assert oks(pred, truth, np.ones((1, K), bool), area_N=[100.0], sigmas_K=SIGMAS) == pytest.approx([1 / 3])
    pred[0] = 1e300
    assert oks(pred, truth, np.ones((1, K), bool), area_N=[100.0], sigmas_K=SIGMAS).tolist() == [0]


def test_people_without_labels_or_area_have_no_oks():
    labelled = np.ones((5, K), bool)
    labelled[0] = False
    found = oks(np.zeros((5, K, 2)), np.zeros((5, K, 2)), labelled, area_N=[9.0, np.nan, 0.0, -4.0, 9.0], sigmas_K=SIGMAS)
    np.testing.assert_array_equal(found, [np.nan] * 4 + [1])
    assert oks(np.zeros((0, K, 2)), np.zeros((0, K, 2)), np.zeros((0, K), bool), area_N=[], sigmas_K=SIGMAS).shape == (0,)


def test_tight_area():
    truth = np.array(
        [[[1, 2], [11, 5], [99, 99]], [[4, 4], [0, 0], [4, 9]], [[7, 7], [0, 0], [0, 0]], [[1, 2], [3, 4], [5, 6]]], float
    )
    labelled = np.array([[1, 1, 0], [1, 0, 1], [1, 0, 0], [0, 0, 0]], bool)
    truth[~labelled] = np.nan  # ignored
    np.testing.assert_array_equal(tight_area(truth, labelled), [30, 5, 1, np.nan])
    assert tight_area(np.zeros((0, K, 2)), np.zeros((0, K), bool)).shape == (0,)


def precision(pred, truth, labelled, area, score=None, image=None, **changes):
    n = len(truth)
    arguments = {"area_N": area, "image_N": np.arange(n) if image is None else image, "sigmas_K": SIGMAS} | changes
    return average_precision(pred, np.ones(n) if score is None else score, truth, labelled, labelled, **arguments)


def test_truth_as_prediction_is_perfect():
    _, truth, labelled, _ = example()
    found = precision(truth, truth, labelled, np.array([40.0, 1025.0, 2000.0, 9217.0, 30000.0]))
    assert found == pytest.approx(dict.fromkeys(("AP", "AP50", "AP75", "AP_medium", "AP_large", "AR"), 100.0))


def test_average_precision_by_hand():
    # Two people in two images. OKS of the first is 0.72, of the other 0: right at 0.50, 0.55 … 0.70, five of ten thresholds.
    truth = np.zeros((2, 1, 2))
    labelled = np.ones((2, 1), bool)
    away = sqrt(-np.log(0.72) * 2 * (2 * 0.05) ** 2 * 5000)
    pred = np.array([[[away, 0.0]], [[999.0, 0.0]]])
    found = precision(pred, truth, labelled, np.full(2, 5000.0), score=[0.9, 0.2], sigmas_K=[0.05])
    # Precision is 1 up to a recall of a half, so at 51 of 101 recalls, and 0 beyond.
    assert found["AP50"] == pytest.approx(100 * 51 / 101)
    assert found["AP"] == pytest.approx(100 * 51 / 101 * 5 / 10)
    assert found["AP75"] == 0 and found["AR"] == pytest.approx(25)
    assert found["AP_medium"] == found["AP"] and np.isnan(found["AP_large"])
    # A higher score of the wrong prediction halves the precision.
    wrong_first = precision(pred, truth, labelled, np.full(2, 5000.0), score=[0.2, 0.9], sigmas_K=[0.05])
    assert wrong_first["AP50"] == pytest.approx(100 * 51 / 101 / 2)


def test_predictions_match_any_person_of_the_same_image():
    _, truth, labelled, area = example()
    exchanged = truth[[1, 0, 2, 3, 4]]
    labelled[:] = True
    together = precision(exchanged, truth, labelled, area, image=["a.jpg", "a.jpg", "b.jpg", "c.jpg", "c.jpg"])
    assert together["AP"] == pytest.approx(100)
    assert precision(exchanged, truth, labelled, area, image=["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"])["AP"] < 60


def test_a_person_without_prediction_is_a_false_negative_but_no_false_positive():
    _, truth, labelled, area = example()
    pred = truth.copy()
    score = np.ones(N)
    pred[1] = np.nan
    score[1] = np.nan
    found = precision(pred, truth, labelled, area, score=score)
    assert found["AR"] == pytest.approx(80) and found["AP"] == pytest.approx(100 * 81 / 101)
    missed = precision(np.full_like(truth, np.nan), truth, labelled, area)
    assert (missed["AP"], missed["AR"]) == (0, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_a_joint_that_is_not_finite_never_matches(value):
    _, truth, _, area = example()
    pred = truth.copy()
    pred[:, [0, 2], 1] = value  # one of three joints is right: OKS 1/3
    assert precision(pred, truth, np.ones((N, K), bool), area)["AP50"] == 0
    only = np.zeros((N, K), bool)
    only[:, 1] = True
    assert precision(pred, truth, only, area)["AP"] == pytest.approx(100)


def test_people_without_a_labelled_joint_are_left_out_with_their_prediction():
    _, truth, labelled, area = example()
    labelled[2] = False
    area[2] = np.nan
    pred = truth.copy()
    pred[2] = 5.0
    assert precision(pred, truth, labelled, area, image=["a.jpg"] * N)["AP"] == pytest.approx(100)


def test_whether_a_labelled_joint_is_visible_changes_nothing():
    pred, truth, labelled, area = example()
    arguments = {"area_N": area, "image_N": np.arange(N), "sigmas_K": SIGMAS}
    visible = average_precision(pred, np.ones(N), truth, labelled, labelled, **arguments)
    hidden = average_precision(pred, np.ones(N), truth, labelled, ~labelled, **arguments)
    assert visible == pytest.approx(hidden, nan_ok=True)


def test_no_people_give_nan():
    found = precision(np.zeros((0, K, 2)), np.zeros((0, K, 2)), np.zeros((0, K), bool), np.zeros(0))
    assert np.isnan(list(found.values())).all()


def test_nothing_is_printed_and_the_callers_arrays_stay_as_they_are(capsys):
    arrays = example()
    copies = [array.copy() for array in arrays]
    for array in arrays:
        array.setflags(write=False)
    precision(*arrays)
    assert capsys.readouterr() == ("", "")
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pred_NK2": np.zeros((N, 4, 2))}, r"pred: expected \(5, 3, 2\), got \(5, 4, 2\)"),
        ({"truth_NK2": np.full((N, K, 2), np.nan)}, "^truth: .*finite"),
        ({"labelled_NK": np.ones((N, K))}, "^counted: .*bool.*float64"),
        ({"visible_NK": np.ones((N, 4), bool)}, r"visible: expected \(5, 3\), got \(5, 4\)"),
        ({"score_N": np.ones(K)}, r"score: expected \(5,\), got \(3,\)"),
        ({"score_N": np.full(N, np.nan)}, "^score: .*finite"),
        ({"area_N": np.ones(K)}, r"area: expected \(5,\), got \(3,\)"),
        ({"area_N": np.array([9, 9, 0, 9, 9])}, "^area: .*above 0"),
        ({"area_N": np.full(N, np.nan)}, "^area: .*above 0"),
        ({"image_N": np.arange(4)}, r"image: expected \(5,\), got \(4,\)"),
        ({"sigmas_K": np.ones(4)}, r"sigmas: expected \(3,\), got \(4,\)"),
    ],
)
def test_wrong_arguments(change, message):
    pred, truth, labelled, area = example()
    arguments = {
        "pred_NK2": pred,
        "score_N": np.ones(N),
        "truth_NK2": truth,
        "labelled_NK": labelled,
        "visible_NK": labelled,
        "area_N": area,
        "image_N": np.arange(N),
        "sigmas_K": SIGMAS,
    }
    with pytest.raises(ValueError, match=message):
        average_precision(**arguments | change)


@pytest.fixture(scope="module")
def coco(real_data):
    return open_people("coco", real_data / "coco" / "test_coco.json")


def moved(people, pixels, seed=3):
    """The truth with noise, and random scores."""
    rng = np.random.default_rng(seed)
    return people.joints + rng.normal(0, pixels, people.joints.shape), rng.random(len(people))


def coco_metrics(people, pred, score):
    facts = {"area_N": people.areas, "image_N": people.image_paths, "sigmas_K": COCO17.sigmas}
    return average_precision(pred, score, people.joints, people.labelled, people.visible, **facts)


def test_truth_as_prediction_is_perfect_on_real_coco(coco):
    assert list(coco_metrics(coco, coco.joints, np.ones(len(coco))).values()) == pytest.approx([100] * 6)
    assert oks(coco.joints, coco.joints, coco.labelled, area_N=coco.areas, sigmas_K=COCO17.sigmas).tolist() == [1] * len(coco)


@pytest.fixture(scope="module")
def official(real_data):
    """Ids of the images and annotations of `coco`'s people, and pycocotools' own evaluation of the annotation file."""
    path = real_data / "coco" / "test_coco.json"
    annotations = [a for a in json.loads(path.read_text())["annotations"] if a["num_keypoints"] and not a["iscrowd"]]

    def evaluate(pred, score):
        flat = np.concatenate([pred, np.ones((*pred.shape[:2], 1))], -1).reshape(len(pred), -1)
        results = [
            {"image_id": person["image_id"], "category_id": 1, "keypoints": keypoints, "score": value}
            for person, keypoints, value in zip(annotations, flat.tolist(), score.tolist(), strict=True)
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            truths = COCO(str(path))
            evaluation = COCOeval(truths, truths.loadRes(results), "keypoints")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return evaluation

    return annotations, evaluate


def test_oks_is_that_of_pycocotools(coco, official):
    annotations, evaluate = official
    pred, score = moved(coco, 12)
    evaluation = evaluate(pred, score)
    ours = oks(pred, coco.joints, coco.labelled, area_N=coco.areas, sigmas_K=COCO17.sigmas)
    for image in {person["image_id"] for person in annotations}:
        here = np.flatnonzero([person["image_id"] == image for person in annotations])
        truths = [annotation["id"] for annotation in evaluation._gts[image, 1]]
        table = evaluation.ious[image, 1]
        for row, n in enumerate(here[np.argsort(-score[here], kind="stable")]):
            assert table[row, truths.index(annotations[n]["id"])] == pytest.approx(ours[n], rel=1e-9)


@pytest.mark.parametrize("pixels", [3, 8, 20])
def test_figures_are_those_of_pycocotools_on_the_annotation_file(coco, official, pixels):
    pred, score = moved(coco, pixels)
    expected = official[1](pred, score).stats[:6]
    ours = coco_metrics(coco, pred, score)
    assert list(ours) == ["AP", "AP50", "AP75", "AP_medium", "AP_large", "AR"]
    assert list(ours.values()) == pytest.approx((100 * expected).tolist())
