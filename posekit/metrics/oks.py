"""Object keypoint similarity (OKS), and average precision over it by pycocotools."""

import contextlib
import io

import numpy as np
from numpy.typing import ArrayLike
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from posekit.metrics.bootstrap import in_percent
from posekit.metrics.pck import pck, require_shape

# The first of pycocotools' ten figures for keypoints, in its order.
_FIGURES = ("AP", "AP50", "AP75", "AP_medium", "AP_large", "AR")


def oks(pred_NK2: ArrayLike, truth_NK2: ArrayLike, labelled_NK: ArrayLike, *, area_N: ArrayLike, sigmas_K: ArrayLike) -> np.ndarray:
    """Similarity of each prediction to its person: mean over the labelled joints of exp(-d² / (2 (2 sigma)² area)).

    Parameters
    ----------
    pred_NK2, truth_NK2 : (N, K, 2) float
        Image pixels, (x, y), both in one frame. A predicted joint that is not finite adds 0.
    labelled_NK : (N, K) bool
        The truth of other joints is not looked at.
    area_N : (N,) float
        Image pixels squared: the person's segment, or `tight_area` in its stead.
    sigmas_K : (K,) float
        COCO's constants (`Skeleton.sigmas`).

    Returns
    -------
    (N,) float64 : 0 to 1; NaN for persons without a labelled joint, or whose area is not above 0.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit, or the truth of a labelled joint is not finite.
    """
    area, sigmas = np.asarray(area_N, dtype=np.float64), np.asarray(sigmas_K, dtype=np.float64)
    require_shape("area", area, np.shape(pred_NK2)[:1])
    lengths = np.sqrt(np.where(area > 0, area, np.nan))
    distances = pck(pred_NK2, truth_NK2, labelled_NK, reference_size_N=lengths)
    require_shape("sigmas", sigmas, distances.counts.shape)
    with np.errstate(over="ignore"):  # predictions may be anything
        similar = np.exp(-((distances.errors / (2 * sigmas)) ** 2) / 2)
    return in_percent(np.where(distances.counted, similar, 0.0).sum(1), distances.counted.sum(1)) / 100


def tight_area(truth_NK2: ArrayLike, labelled_NK: ArrayLike) -> np.ndarray:
    """Area of the tight box of the labelled joints, each side at least 1 px.

    A stand-in where a data set has no areas of segments, and not comparable with them: it is larger than
    that of a person seen whole, and far smaller where few joints are labelled.

    Parameters
    ----------
    truth_NK2 : (N, K, 2) float
        Image pixels.
    labelled_NK : (N, K) bool

    Returns
    -------
    (N,) float64 : image pixels squared; NaN for persons without a labelled joint.
    """
    truth, labelled = np.asarray(truth_NK2, dtype=np.float64), np.asarray(labelled_NK)
    low, high = (np.where(labelled[..., None], truth, away) for away in (np.inf, -np.inf))
    sides = np.maximum(high.max(1) - low.min(1), 1.0)
    return np.where(labelled.any(1), sides[:, 0] * sides[:, 1], np.nan)


def average_precision(
    pred_NK2: ArrayLike,
    score_N: ArrayLike,
    truth_NK2: ArrayLike,
    labelled_NK: ArrayLike,
    visible_NK: ArrayLike,
    *,
    area_N: ArrayLike,
    image_N: ArrayLike,
    sigmas_K: ArrayLike,
) -> dict[str, float]:
    """COCO's keypoint figures, by pycocotools: one prediction a person, matched within each photograph by OKS.

    A prediction without any finite joint is left out: its person is missed, but nothing is found wrongly. A
    joint that is not finite adds 0 to the OKS of the others. Persons without a labelled joint are left out
    with their prediction. As COCO has it, the 20 predictions of highest score count in each photograph, and
    an area of 32² to 96² is medium, a larger one large. The order of equal scores follows that of the
    photographs' names, then that of the persons.

    Parameters
    ----------
    pred_NK2 : (N, K, 2) float
        Image pixels, (x, y).
    score_N : (N,) float
        Which predictions to trust first; of any scale.
    truth_NK2 : (N, K, 2) float
        Image pixels.
    labelled_NK, visible_NK : (N, K) bool
        The truth of joints that are not labelled is not looked at. Whether a labelled joint is visible does not change OKS.
    area_N : (N,) float
        Image pixels squared: the person's segment, or `tight_area` in its stead.
    image_N : (N,) str or int
        The photograph of each person.
    sigmas_K : (K,) float
        COCO's constants (`Skeleton.sigmas`).

    Returns
    -------
    dict : AP, AP50, AP75, AP_medium, AP_large and AR (of at most 20 a photograph), in percent; NaN where there is no such person.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit, the truth of a labelled joint is not finite, the area of a labelled person is
        not above 0, or the score of a prediction is not finite.
    """
    pred, truth, area = (np.asarray(array, dtype=np.float64) for array in (pred_NK2, truth_NK2, area_N))
    labelled, visible, score, image = map(np.asarray, (labelled_NK, visible_NK, score_N, image_N))
    similar = oks(pred, truth, labelled, area_N=area, sigmas_K=sigmas_K)
    for name, array, shape in (("visible", visible, labelled.shape), ("score", score, area.shape), ("image", image, area.shape)):
        require_shape(name, array, shape)
    predicted, used = np.isfinite(pred).all(-1), labelled.any(1)
    found = used & predicted.any(1)
    if np.isnan(similar[used]).any():
        raise ValueError("area: expected above 0 for persons with labelled joints (tight_area makes a stand-in)")
    if not np.isfinite(score[found]).all():
        raise ValueError("score: expected finite where a joint is predicted, got NaN or infinity")
    photographs = np.unique(image, return_inverse=True)[1]
    truth, pred = np.where(labelled[..., None], truth, 0.0), np.where(predicted[..., None], pred, np.inf)
    with np.errstate(over="ignore"), contextlib.redirect_stdout(io.StringIO()):  # predictions may be anything
        truths = _coco(used, photographs, truth, np.add(labelled, labelled & visible, dtype=int), area, score)
        # Not by COCO.loadRes: it makes NaN of the area, and a match of the person, where a joint is not finite.
        results = _coco(found, photographs, pred, predicted, tight_area(pred, predicted), score)
        return _figures(truths, results, np.asarray(sigmas_K, dtype=np.float64))


def _coco(used_N, photographs_N, points_NK2, flags_NK, areas_N, scores_N) -> COCO:
    """The persons `used` as annotations, truth or results alike; `flags` are COCO's v."""
    keypoints = np.concatenate([points_NK2, flags_NK[..., None]], axis=-1).reshape(len(used_N), 3 * flags_NK.shape[1])
    coco = COCO()
    coco.dataset = {
        "images": [{"id": photograph} for photograph in np.unique(photographs_N).tolist()],
        "categories": [{"id": 1}],
        "annotations": [
            {
                "id": person + 1,  # 0 means not matched
                "image_id": int(photographs_N[person]),
                "category_id": 1,
                "keypoints": keypoints[person],
                "num_keypoints": int((flags_NK[person] > 0).sum()),
                "area": areas_N[person],
                "score": scores_N[person],
                "bbox": (0, 0, 0, 0),  # looked at only where no joint is labelled
                "iscrowd": 0,
            }
            for person in np.flatnonzero(used_N).tolist()
        ],
    }
    coco.createIndex()
    return coco


def _figures(truths: COCO, results: COCO, sigmas: np.ndarray) -> dict[str, float]:
    evaluation = COCOeval(truths, results, "keypoints")
    evaluation.params.kpt_oks_sigmas = sigmas
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    known = (100 * value if value >= 0 else float("nan") for value in evaluation.stats.tolist())  # COCO's -1 is "none"
    return dict(zip(_FIGURES, known, strict=False))
