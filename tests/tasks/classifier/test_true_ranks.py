"""How many classes are preferred to the true one."""

import numpy as np
import pytest

from posekit.tasks.classifier.score import true_ranks

NAN = np.nan


@pytest.mark.parametrize(
    ("scores", "label", "rank"),
    [
        ([0.1, 0.7, 0.2], 1, 0),
        ([0.1, 0.7, 0.2], 2, 1),
        ([0.1, 0.7, 0.2], 0, 2),
        ([0.5, 0.5, 0.5], 0, 0),  # of equal scores argmax takes the first
        ([0.5, 0.5, 0.5], 2, 2),
        ([NAN, 0.1, 0.2], 0, 2),
        ([NAN, NAN, NAN], 0, 3),
    ],
)
def test_known_ranks(scores, label, rank):
    assert true_ranks([scores], [label]).tolist() == [rank]


def test_the_first_choice_is_argmax():
    scores = np.random.default_rng(0).integers(4, size=(200, 6)).astype(float)
    labels = np.random.default_rng(1).integers(6, size=200)
    np.testing.assert_array_equal(true_ranks(scores, labels) == 0, scores.argmax(1) == labels)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"expected \(N, C\) and \(N,\), got \(2, 3\) and \(3,\)"):
        true_ranks(np.zeros((2, 3)), np.zeros(3, int))
