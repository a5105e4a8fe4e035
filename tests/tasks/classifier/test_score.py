"""Errors of classifiers, their files, and repeated trainings."""

import json

import numpy as np
import pytest

from posekit.data.labelled_images import LabelledImages
from posekit.errors import DataError
from posekit.scoring.metrics_file import write_metrics
from posekit.scoring.repeats import differences_table, scores_table
from posekit.tasks.classifier.score import ClassRepeats, read_classes, score_classes, true_ranks, write_classes

N = 400
NAN = np.nan


def labelled(classes, n=N):
    labels = np.random.default_rng(0).integers(classes, size=n)
    return LabelledImages("toy", "test", np.zeros((n, 2, 2, 3), np.uint8), labels, tuple(f"class {i}" for i in range(classes)))


def guess(images, right, seed=0):
    """Scores of logits that rank the true class first in the fraction `right` of the images, and second in the other images."""
    logits = np.random.default_rng(seed).uniform(size=(len(images), len(images.classes)))
    index = np.arange(len(images))
    logits[index, images.labels] = np.where(np.arange(len(images)) < right * len(images), 3, 1.5)
    logits[index, (images.labels + 1) % len(images.classes)] = 2
    return score_classes(images, logits)


def test_errors_and_their_interval():
    scores = guess(labelled(10), 0.75)
    assert scores.figures == {"error": 25.0}
    low, high = scores.intervals95["error"]
    # For 400 images, the standard error of a proportion of 0.25 is 2.17 percentage points.
    assert low == pytest.approx(25 - 1.96 * 2.17, abs=1) and high == pytest.approx(25 + 1.96 * 2.17, abs=1)
    assert "top-1 error" in scores.table() and "top-5" not in scores.table()


def test_more_than_ten_classes_have_a_top5_error():
    scores = guess(labelled(11), 0.5)
    assert scores.figures == {"error": 50.0, "error_top5": 0.0}
    assert "top-5 error" in scores.table()


def test_an_unreadable_image_counts_as_wrong(tmp_path):
    images = labelled(3, 4)
    logits = np.eye(3)[images.labels]
    logits[2] = np.nan
    scores = score_classes(images, logits)
    assert scores.figures["error"] == 25 and scores.predicted[2] == -1
    write_classes(tmp_path / "p.csv", scores)
    np.testing.assert_array_equal(read_classes(tmp_path / "p.csv", images).predicted, scores.predicted)


def test_files_hold_the_scores(tmp_path):
    images = labelled(11)
    scores = guess(images, 0.5)
    write_classes(tmp_path / "predictions.csv", scores)
    again = read_classes(tmp_path / "predictions.csv", images)
    assert again.figures == scores.figures and np.array_equal(again.ranks, scores.ranks)
    metrics = json.loads(write_metrics(tmp_path, scores, weights="w").read_text())
    assert metrics["error"] == 50 and metrics["n_images"] == N and metrics["weights"] == "w" and metrics["posekit"]
    shares = [(images.labels == i).mean() * metrics["error_of_classes"][f"class {i}"] for i in range(11)]
    assert sum(shares) == pytest.approx(50, abs=0.01)


@pytest.mark.parametrize(
    ("text", "message"),
    [("image,label\n", "p.csv"), ("image,label,predicted,rank\n0,cat,cat,0\n", "cat"),
     ("image,label,predicted,rank\n0,class 1,class 1,0\n", "other images"), (None, "p.csv")],
)  # fmt: skip
def test_predictions_of_other_images(tmp_path, text, message):
    if text is not None:
        (tmp_path / "p.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_classes(tmp_path / "p.csv", labelled(3))


def test_repeats_are_compared_over_images_and_seeds():
    images = labelled(11)
    good = ClassRepeats({seed: guess(images, 0.9 + 0.01 * seed, seed) for seed in (0, 1, 2)})
    bad = ClassRepeats({seed: guess(images, 0.7, seed) for seed in (0, 1)})
    assert good.figures["top-1 error"].mean == pytest.approx(9) and good.figures["top-1 error"].deviation == pytest.approx(1)
    comparison = good.minus(bad)["top-1 error"]
    assert comparison.difference == pytest.approx(9.5 - 30) and comparison.decided
    assert comparison.low < -20.5 < comparison.high
    assert good.minus(ClassRepeats({7: bad.scores[0]})) == {}
    models = {"good": good, "bad": bad}
    table = scores_table(models, {})
    assert "| good | 3 | **9.00 ± 1.00** |" in table  # lower is better
    assert "| bad | **+20.50**" in differences_table(models, "good")


@pytest.mark.parametrize(
    ("scores", "label", "rank"),
    [
        ([0.1, 0.7, 0.2], 1, 0),
        ([0.1, 0.7, 0.2], 2, 1),
        ([0.1, 0.7, 0.2], 0, 2),
        ([0.5, 0.5, 0.5], 0, 0),  # argmax returns the first of equal scores
        ([0.5, 0.5, 0.5], 2, 2),
        ([NAN, 0.1, 0.2], 0, 2),
        ([NAN, NAN, NAN], 0, 3),
    ],
)
def test_known_ranks(scores, label, rank):
    assert true_ranks([scores], [label]).tolist() == [rank]


def test_rank_0_is_argmax():
    scores = np.random.default_rng(0).integers(4, size=(200, 6)).astype(float)
    labels = np.random.default_rng(1).integers(6, size=200)
    np.testing.assert_array_equal(true_ranks(scores, labels) == 0, scores.argmax(1) == labels)


def test_ranks_of_wrong_shapes():
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3,\)"):
        true_ranks(np.zeros((2, 3)), np.zeros(3, int))
