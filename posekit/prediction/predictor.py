"""Predict poses from images with `Predictor`, which needs only a weights file."""

import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from posekit import heatmaps
from posekit.choices import DECODE_METHODS
from posekit.data.crops import EpochBatches, Failure, PyramidDataset, make_loader, predict_batches
from posekit.errors import ConfigError, ImageError
from posekit.geometry import Box, Crop
from posekit.images import cv2, read_image
from posekit.models import StackedHourglass, load_weights
from posekit.people import People
from posekit.prediction.backends import Backend, find_device, open_backend, read_onnx
from posekit.prediction.onnx import decode_maps
from posekit.prediction.pose import Pose
from posekit.prediction.test_time import PLAIN, TestTimeAugmentation, averaged_maps
from posekit.scoring.io.predictions import Predictions
from posekit.weights import DEFAULT

# Number of local maxima that `predict_people` keeps per heatmap, for the analysis of double counting.
_PEAKS = 8


class Predictor:
    """Predicts the keypoints of people in given bounding boxes.

    Parameters
    ----------
    weights : str or Path
        Path of a .safetensors file from ``tools/train.py`` or of an .onnx file from ``tools/export.py``, or the name of bundled
        weights (`posekit.weights.shipped`).
    device : str
        "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", …
    decode : {"dark", "quarter", "argmax"}
        How a joint is decoded from a heatmap; see `posekit.heatmaps.decode`. For evaluation, papers use "quarter", and so do
        training, `posekit eval` and `posekit compare`.
    views : TestTimeAugmentation
        Test-time augmentation: the heatmaps of all views of a person are averaged. `posekit.prediction.test_time.PYRAMID` is the
        paper's choice: six scales with flipping.
    batch_size : int
        Crops per batch; all views of one person are always in the same batch.
    workers : int
        Number of processes that load images in `predict_people`.
    backend : {"auto", "torch", "compiled", "onnx"}
        Inference backend that runs the network; see `posekit.prediction.backends`. "auto" is the fastest backend that starts
        without a delay.
    precision : {"no", "bf16", "fp16"}
        Number format of the network in torch; "no" is float32. Lower precision is faster on most GPUs; fp16 needs a GPU.

    Attributes
    ----------
    model : StackedHourglass or None
        The network as trained; None for an .onnx file.
    backend : posekit.prediction.backends.Backend
    info : posekit.models.ModelInfo
        Skeleton, input size, normalisation and head, from the weights file.
    device : torch.device

    Raises
    ------
    WeightsError
        If the weights file cannot be loaded.
    ConfigError
        If the device, decoding, backend or precision is unknown or unavailable.
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        device: str = "auto",
        decode: str = "dark",
        views: TestTimeAugmentation = PLAIN,
        batch_size: int = 32,
        workers: int = 0,
        backend: str = "auto",
        precision: str = "no",
    ):
        if decode not in DECODE_METHODS:
            raise ConfigError(f"decode {decode!r}: choose from {', '.join(DECODE_METHODS)}")
        self.device = find_device(device)
        self.model: StackedHourglass | None = None
        self.backend: Backend
        if Path(weights).suffix == ".onnx":
            self.backend = read_onnx(weights, backend, device, precision)
        else:
            self.model, info = load_weights(weights, self.device)
            self.backend = open_backend(backend, self.model.eval(), info, self.device, precision)
        self.info = self.backend.info
        self.decode = decode
        self.views = views
        self.workers = workers
        self.people_per_batch = max(1, batch_size // len(views))
        self.flip_order = torch.as_tensor(self.info.skeleton.flip_order.copy(), device=self.device)

    @property
    def calibrated(self) -> bool:
        """Whether scores are probabilities: True if the weights contain a calibration for `views`."""
        return self.views.key in self.info.calibrations

    @property
    def choices(self) -> dict[str, Any]:
        """Settings that affect the predictions, and a description of the model, for ``metrics.json``."""
        info = self.info
        return {
            "decode": self.decode,
            "views": str(self.views),
            "input_size": info.input_size,
            "backend": self.backend.name,
            "scores": "probabilities" if self.calibrated else "peaks",
            "model": {
                "encoder": info.encoder,
                "stacks": info.stacks,
                "features": info.features,
                "depth": info.depth,
                "head": info.head,
                **info.notes,
            },
        }

    def __call__(self, image: str | Path | np.ndarray, boxes: Sequence[Box] | None = None, *, refine: int = 0) -> list[Pose]:
        """Find the keypoints of the person in each box of one image.

        Parameters
        ----------
        image : path, or (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) array of uint8 or uint16
            Grey, BGR or BGRA, as OpenCV loads images.
        boxes : sequence of Box, optional
            One bounding box per person, in image pixels. By default one box around the whole image.
        refine : int
            Number of times to predict each person again, each time in the box around the last predicted keypoints
            (`Pose.refined_box`). Refinement helps where the boxes are inaccurate.

        Returns
        -------
        list of Pose : one for each box, in order. With `refine`, the pose with the highest mean score of all passes.

        Raises
        ------
        ImageError
            If the image cannot be read, or the array is not an image.
        BoxError
            If a box lies completely outside the image.
        TypeError
            If a box is not a `Box`.
        """
        return self.predict_images([image], None if boxes is None else [boxes], refine=refine)[0]

    def predict_images(
        self,
        images: Sequence[str | Path | np.ndarray],
        boxes: Sequence[Sequence[Box]] | None = None,
        *,
        refine: int = 0,
    ) -> list[list[Pose]]:
        """Find the keypoints of the person in each box of several images; a batch can hold crops from several images.

        Parameters
        ----------
        images : sequence of paths or arrays
            As for `__call__`, of any sizes; all images are held in memory at once.
        boxes : sequence of sequences of Box, optional
            The boxes of each image; an image may have no boxes. By default one box around each whole image.
        refine : int
            As for `__call__`.

        Returns
        -------
        list of lists of Pose : for each image, the poses that `__call__` returns.

        Raises
        ------
        ImageError, BoxError, TypeError
            As for `__call__`.
        ValueError
            If `boxes` and `images` differ in length.
        """
        pixels = [load_image(image) for image in images]
        if boxes is None:
            boxes = [[Box.of_image(image)] for image in pixels]
        people = []
        for image, image_boxes in zip(pixels, boxes, strict=True):
            for box in image_boxes:
                if not isinstance(box, Box):
                    raise TypeError(f"boxes: expected posekit.geometry.Box, got {box!r}; Box.from_xywh converts a rectangle")
                box.require_overlap(*image.shape[1::-1])
                people.append((image, box))
        poses = self._predict_boxes(people)
        best = poses
        for _ in range(refine):
            for i, pose in enumerate(poses):
                image, _ = people[i]
                box = pose.refined_box()
                people[i] = (image, box if box.overlaps(*image.shape[1::-1]) else pose.box)
            poses = self._predict_boxes(people)
            best = [max(pair, key=lambda pose: pose.scores.mean()) for pair in zip(best, poses, strict=True)]
        remaining = iter(best)
        return [list(islice(remaining, len(image_boxes))) for image_boxes in boxes]

    def crop(self, image_bgr: np.ndarray, box: Box) -> list[np.ndarray]:
        """Cut one person's crops for `predict_crops`: (S, S, 3) uint8 RGB, one crop for each scale of `views`."""
        return [Crop(box.scaled(scale), self.info.input_size).warp_rgb(image_bgr) for scale in self.views.scales]

    def _predict_boxes(self, people: Sequence[tuple[np.ndarray, Box]]) -> list[Pose]:
        poses = []
        for start in range(0, len(people), self.people_per_batch):
            batch = people[start : start + self.people_per_batch]
            crops: list[np.ndarray] = []
            for image, box in batch:
                crops += self.crop(image, box)
            joints, heights = self.predict_crops(torch.from_numpy(np.stack(crops)))
            crop_keypoints = joints.cpu().double().numpy()
            peaks = heights.cpu().double().numpy()
            scores = self._scores(peaks)
            for i, (_, box) in enumerate(batch):
                keypoints = Crop(box, self.info.input_size).inverse(crop_keypoints[i])
                poses.append(Pose(keypoints, scores[i], box, self.info.skeleton, peaks[i]))
        return poses

    def _scores(self, peaks_NK: np.ndarray) -> np.ndarray:
        """Convert peak heights to probabilities if the weights contain a calibration, otherwise clip the heights to [0, 1]."""
        if self.calibrated:
            return self.info.calibrations[self.views.key](peaks_NK)
        return np.clip(peaks_NK, 0, 1)

    def predict_crops(self, images_NHWC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Find the keypoints of B people in their crops.

        Parameters
        ----------
        images_NHWC : (B V, S, S, 3) uint8
            RGB crops; S is the model's input size. The crops of one person at the V scales of `views` are consecutive.

        Returns
        -------
        keypoints : (B, K, 2) float32
            x, y in pixels of the crop at scale 1, on the model's device.
        peaks : (B, K) float32
            Peak height of each activated heatmap.
        """
        if self.views == PLAIN:
            return self.backend.joints(images_NHWC.to(self.device, non_blocking=True), self.decode)
        return decode_maps(self.predict_maps(images_NHWC), self.info, self.decode)

    @torch.inference_mode()
    def predict_maps(self, images_NHWC: torch.Tensor) -> torch.Tensor:
        """Predict activated heatmaps (B, K, H, W) float32, averaged over each person's views, from crops as for `predict_crops`."""
        return averaged_maps(self.backend.maps, images_NHWC.to(self.device, non_blocking=True), self.views, self.flip_order)

    def _predict_peaks(self, images_NHWC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        maps = self.predict_maps(images_NHWC)
        stride = images_NHWC.shape[1] // maps.shape[-2]
        return heatmaps.find_peaks(maps, count=_PEAKS, method=self.decode, stride=stride)

    def predict_people(self, people: People, *, progress: bool = True) -> Predictions:
        """Predict the keypoints of all annotated people in the annotated bounding boxes, for evaluation.

        People whose crop cannot be made get NaN keypoints and are reported on stderr. `progress` shows a progress bar.

        Returns
        -------
        Predictions : one row for each person, in order: the joints of the model's skeleton, in image pixels, and the peaks of
            each heatmap.

        Raises
        ------
        DataError
            If the people's skeleton shares no joint with the model's.
        ImageError
            If no person's crop could be made.
        """
        people = people.mapped_to(self.info.skeleton)
        n, k = people.labelled.shape
        peaks = np.full((n, k, _PEAKS, 2), np.nan)
        heights = np.full((n, k, _PEAKS), np.nan)
        failures: list[Failure] = []
        batches = predict_batches(self._loader(people), people, self._predict_peaks)
        with tqdm(total=n, desc="predict", unit="person", disable=not progress) as bar:
            for index, batch_peaks, batch_heights, batch_failures in batches:
                peaks[index] = batch_peaks
                heights[index] = batch_heights
                failures += batch_failures
                bar.update(len(index))
        report_failures(failures, people)
        return Predictions(
            peaks[:, :, 0],
            self._scores(heights[:, :, 0]),
            np.arange(n),
            self.info.skeleton,
            people.name,
            people.split,
            peaks=peaks,
            heights=heights,
        )

    def heatmaps(self, people: People) -> np.ndarray:
        """Predict activated heatmaps (N, K, H, W) float32 of annotated people, averaged over the views, for display.

        The heatmaps cover the crop of each person's box, at 1/4 of the resolution. A crop that cannot be made is replaced by black.
        """
        return torch.cat([maps.cpu() for _, maps, _ in self.map_batches(people)]).numpy()

    def map_batches(self, people: People) -> Iterator[tuple[np.ndarray, torch.Tensor, tuple[Failure, ...]]]:
        """Predict the same heatmaps as `heatmaps`, but yield one batch at a time, to save memory.

        Yields
        ------
        (B,) int64 indices into `people`; (B, K, H, W) float32 heatmaps, on the model's device; and a `Failure` for each person of
        the batch whose crop could not be made and was replaced by a black crop.

        Raises
        ------
        DataError
            If the people's skeleton shares no joint with the model's.
        """
        views = len(self.views.scales)
        for batch in self._loader(people.mapped_to(self.info.skeleton)):
            if len(batch):
                yield batch.index.numpy()[::views], self.predict_maps(batch.images), batch.failures[::views]

    def _loader(self, people: People) -> DataLoader:
        dataset = PyramidDataset(people, size=self.info.input_size, scales=self.views.scales)
        return make_loader(dataset, EpochBatches(len(people), self.people_per_batch), workers=self.workers)


def load(weights: str | Path = DEFAULT, **options: Any) -> Predictor:
    """Create a `Predictor` from a weights file or from bundled weights; `options` are the keyword arguments of `Predictor`."""
    return Predictor(weights, **options)


def load_image(image: str | Path | np.ndarray) -> np.ndarray:
    """Load an image file, or convert an image array as for `Predictor`, to (H, W, 3) uint8 BGR.

    A grey channel is repeated three times, 16 bits are reduced to 8, and an alpha channel is dropped.

    Raises
    ------
    ImageError
        If the file cannot be read, or the array has another shape or dtype. Float arrays are invalid because white can be 1 or 255.
    """
    if not isinstance(image, np.ndarray):
        return read_image(image)
    if image.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"image array of {image.dtype}: expected uint8 or uint16. If 1.0 is white, pass (255 * image).astype(np.uint8)"
        )
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or not image.size:
        raise ImageError(
            f"image array of shape {image.shape}: expected a non-empty array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
        )
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if image.shape[2] == 1:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(image[..., :3])


def report_failures(failures: Sequence[Failure], people: People) -> None:
    """Print to stderr which people could not be predicted, and how many; raise `ImageError` if no person could be predicted."""
    for failure in failures:
        print(f"not predicted: {failure.message}", file=sys.stderr)
    if failures and len(failures) == len(people):
        raise ImageError(
            f"{people.name} {people.split}: none of the {len(people)} people could be predicted; first error: {failures[0].message}"
        )
    if failures:
        print(f"{len(failures)} of {len(people)} people could not be predicted", file=sys.stderr)
