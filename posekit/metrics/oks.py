"""Object keypoint similarity (OKS), and average precision based on OKS, computed by pycocotools."""

import contextlib
import io
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from posekit.errors import require_array
from posekit.metrics.bootstrap import in_percent
from posekit.metrics.pck import pck

# Names of the first six of the ten keypoint metrics that pycocotools returns.
_NAMES = ("AP", "AP50", "AP75", "AP_medium", "AP_large", "AR")


def oks(pred_NK2: ArrayLike, truth_NK2: ArrayLike, labelled_NK: ArrayLike, *, area_N: ArrayLike, sigmas_K: ArrayLike) -> np.ndarray:
    """OKS of each predicted person: mean over the labelled joints of exp(-d² / (2 (2 sigma)² area)), d: distance to the truth.

    Parameters
    ----------
    pred_NK2, truth_NK2 : (N, K, 2) float
        Image pixels, (x, y), both in the same coordinate frame. A predicted joint that is not finite adds 0 to the OKS.
    labelled_NK : (N, K) bool
        True where the joint is labelled; the truth of other joints is ignored.
    area_N : (N,) float
        Area of the person's segmentation mask, or `tight_area` where there is no mask; image pixels squared.
    sigmas_K : (K,) float
        COCO's per-joint constants (`Skeleton.sigmas`).

    Returns
    -------
    (N,) float64 : 0 to 1; NaN for people without a labelled joint or with an area that is not above 0.

    Raises
    ------
    ValueError
        If shapes or dtypes do not match, or the truth of a labelled joint is not finite.
    """
    area = np.asarray(area_N, dtype=np.float64)
    sigmas = np.asarray(sigmas_K, dtype=np.float64)
    require_array("area", area, np.shape(pred_NK2)[:1])
    lengths = np.sqrt(np.where(area > 0, area, np.nan))
    distances = pck(pred_NK2, truth_NK2, labelled_NK, reference_size_N=lengths)
    require_array("sigmas", sigmas, distances.counts.shape)
    with np.errstate(over="ignore"):  # predictions may be arbitrarily large
        similarity = np.exp(-((distances.errors / (2 * sigmas)) ** 2) / 2)
    total = np.where(distances.counted, similarity, 0.0).sum(1)
    return in_percent(total, distances.counted.sum(1)) / 100


def tight_area(truth_NK2: ArrayLike, labelled_NK: ArrayLike) -> np.ndarray:
    """Area of the tight bounding box of the labelled joints, each side at least 1 px.

    A substitute for data sets without segmentation masks. Compared with the area of a mask, the tight area is larger for a fully
    visible person, and far smaller for a person with few labelled joints.

    Returns
    -------
    (N,) float64 : image pixels squared; NaN for people without a labelled joint.
    """
    truth = np.asarray(truth_NK2, dtype=np.float64)
    labelled = np.asarray(labelled_NK)
    low = np.where(labelled[..., None], truth, np.inf).min(1)
    high = np.where(labelled[..., None], truth, -np.inf).max(1)
    sides = np.maximum(high - low, 1.0)
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
    """COCO's keypoint metrics, computed by pycocotools for one prediction per person, matched within each image by OKS.

    A prediction without any finite joint is left out, which makes its person a false negative without adding a false positive. A
    joint that is not finite adds 0 to the OKS. People without a labelled joint are left out, together with their predictions. As
    in COCO, only the 20 highest-scoring predictions per image are evaluated; areas from 32² to 96² are medium, larger areas are
    large. Predictions of equal score are ordered by `image_N`, then by index.

    Parameters
    ----------
    pred_NK2 : (N, K, 2) float
        Image pixels, (x, y).
    score_N : (N,) float
        Confidence of each prediction, on any scale.
    truth_NK2 : (N, K, 2) float
        Image pixels.
    labelled_NK, visible_NK : (N, K) bool
        True where the joint is labelled, and where it is visible. The truth of unlabelled joints is ignored; visibility does not
        change the OKS.
    area_N, sigmas_K
        As for `oks`.
    image_N : (N,) str or int
        Name or number of each person's image.

    Returns
    -------
    dict : AP, AP50, AP75, AP_medium, AP_large and AR (at most 20 predictions per image), in percent; NaN where no person qualifies.

    Raises
    ------
    ValueError
        If shapes or dtypes do not match, the truth of a labelled joint is not finite, the area of a person with labelled joints
        is not above 0, or the score of a prediction is not finite.
    """
    pred = np.asarray(pred_NK2, dtype=np.float64)
    score = np.asarray(score_N)
    truth = np.asarray(truth_NK2, dtype=np.float64)
    labelled = np.asarray(labelled_NK)
    visible = np.asarray(visible_NK)
    area = np.asarray(area_N, dtype=np.float64)
    image = np.asarray(image_N)
    similarity = oks(pred, truth, labelled, area_N=area, sigmas_K=sigmas_K)
    require_array("visible", visible, labelled.shape)
    require_array("score", score, area.shape)
    require_array("image", image, area.shape)
    annotated = np.any(labelled, axis=1)
    finite = np.all(np.isfinite(pred), axis=-1)
    predicted = annotated & np.any(finite, axis=1)
    if np.isnan(similarity[annotated]).any():
        raise ValueError("area: expected values above 0 for people with labelled joints; use tight_area where the area is unknown")
    if not np.isfinite(score[predicted]).all():
        raise ValueError("score: expected finite scores for people with a predicted joint, got NaN or infinity")
    image_ids = np.unique(image, return_inverse=True)[1]
    truth = np.where(labelled[..., None], truth, 0.0)
    pred = np.where(finite[..., None], pred, np.inf)
    visibility = np.add(labelled, labelled & visible, dtype=int)
    with np.errstate(over="ignore"), contextlib.redirect_stdout(io.StringIO()):  # predictions may be arbitrarily large
        truths = _coco(annotated, image_ids, truth, visibility, area, score)
        # COCO.loadRes is not used because it sets the area to NaN if a joint is not finite, and then matches the person.
        results = _coco(predicted, image_ids, pred, finite, tight_area(pred, finite), score)
        return _evaluate(truths, results, np.asarray(sigmas_K, dtype=np.float64))


def _coco(
    used_N: np.ndarray,
    image_ids_N: np.ndarray,
    points_NK2: np.ndarray,
    visibility_NK: np.ndarray,
    areas_N: np.ndarray,
    scores_N: np.ndarray,
) -> COCO:
    """Convert the people where `used_N` is True (truths or predictions) to a COCO data set; `visibility_NK` is COCO's flag v."""
    keypoints = np.concatenate([points_NK2, visibility_NK[..., None]], axis=-1).reshape(len(used_N), 3 * visibility_NK.shape[1])
    annotations = []
    for person in np.flatnonzero(used_N).tolist():
        annotation = {
            "image_id": int(image_ids_N[person]),
            "keypoints": keypoints[person],
            "num_keypoints": int((visibility_NK[person] > 0).sum()),
            "area": areas_N[person],
            "score": scores_N[person],
            "bbox": (0, 0, 0, 0),  # used only where no joint is labelled
        }
        annotations.append(annotation)
    return coco_data_set(np.unique(image_ids_N).tolist(), annotations)


def coco_data_set(image_ids: Iterable[int], annotations: Sequence[dict]) -> COCO:
    """Return a COCO data set with one category; `annotations` lack the keys "id", "category_id" and "iscrowd"."""
    complete = []
    for number, annotation in enumerate(annotations, 1):  # pycocotools treats id 0 as "not matched"
        complete.append({**annotation, "id": number, "category_id": 1, "iscrowd": 0})
    coco = COCO()
    coco.dataset = {"images": [{"id": id_} for id_ in image_ids], "categories": [{"id": 1}], "annotations": complete}
    coco.createIndex()
    return coco


def in_percent_or_nan(share: float) -> float:
    """Convert a result of pycocotools, which is -1 if undefined, to percent."""
    return 100 * float(share) if share >= 0 else float("nan")


def _evaluate(truths: COCO, results: COCO, sigmas: np.ndarray) -> dict[str, float]:
    evaluation = COCOeval(truths, results, "keypoints")
    evaluation.params.kpt_oks_sigmas = sigmas
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return dict(zip(_NAMES, map(in_percent_or_nan, evaluation.stats.tolist()), strict=False))
