"""`Predictor`: from photographs to poses, with nothing but a weights file."""

import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from posekit import heatmaps
from posekit.choices import DECODE_METHODS
from posekit.data.crops import EpochBatches, PyramidDataset, make_loader, predict_batches
from posekit.data.sample import Failure
from posekit.errors import ConfigError, ImageError
from posekit.geometry import Box, Crop
from posekit.images import read_image
from posekit.models import load_weights
from posekit.opencv import cv2
from posekit.people import People
from posekit.prediction.backends import find_device, open_backend, read_onnx
from posekit.prediction.onnx.export import decoded
from posekit.prediction.pose import Pose
from posekit.prediction.test_time import PLAIN, TestTimeAugmentation, averaged_maps
from posekit.scoring.io.predictions import Predictions
from posekit.weights import DEFAULT

# Local maxima of each heatmap that `predict_people` keeps, for the analysis of double counting.
_PEAKS = 8


class Predictor:
    """Finds the joints of people whose boxes are given.

    Parameters
    ----------
    weights : str or Path
        A .safetensors file, as ``tools/train.py`` writes it; an .onnx file of ``tools/export.py``; or the name of weights that
        come with posekit (`posekit.weights.shipped`).
    device : str
        "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", …
    decode : {"dark", "quarter", "argmax"}
        How a heatmap becomes a point; see `posekit.heatmaps.decode`. The papers score by "quarter", and so do training, `posekit
        eval` and `posekit compare`.
    views : TestTimeAugmentation
        TestTimeAugmentation of each person whose heatmaps are averaged: `posekit.prediction.test_time.PYRAMID` is the paper's six
        scales with flipping.
    batch_size : int
        Crops that go through the model at once; at least all views of one person.
    workers : int
        Processes that read photographs in `predict_people`.
    backend : {"auto", "torch", "compiled", "onnx"}
        What runs the network; see `posekit.prediction.backends`. "auto" takes the fastest that is there at once.
    precision : {"no", "bf16", "fp16"}
        What torch multiplies in; "no" is float32. Lower precision is faster on most GPUs (fp16 on GPUs alone).

    Attributes
    ----------
    model : torch.nn.Module or None
        As it was trained; None of an .onnx file.
    backend : posekit.prediction.backends.Backend
    info : posekit.models.ModelInfo
        Skeleton, input size, normalisation and head, from the weights file.
    device : torch.device

    Raises
    ------
    WeightsError
        If the weights file cannot be read.
    ConfigError
        If there is no such device, decoding, back end or precision.
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
        if Path(weights).suffix == ".onnx":
            self.model, self.backend = None, read_onnx(weights, backend, device, precision)
        else:
            self.model, info = load_weights(weights, self.device)
            self.backend = open_backend(backend, self.model.eval(), info, self.device, precision)
        self.info = self.backend.info
        self.decode, self.views, self.workers = decode, views, workers
        self.persons_at_once = max(1, batch_size // len(views))
        self.flip_order = torch.as_tensor(self.info.skeleton.flip_order.copy(), device=self.device)

    @property
    def calibrated(self) -> bool:
        """Whether its scores are probabilities: the weights tell what the peaks of these views are worth."""
        return self.views.key in self.info.calibrations

    @property
    def choices(self) -> dict:
        """What its predictions depend on besides the weights, for ``metrics.json``."""
        info = self.info
        network = ("encoder", "stacks", "features", "depth", "head")
        model = {**{name: getattr(info, name) for name in network}, **info.notes}
        return {
            "decode": self.decode,
            "views": str(self.views),
            "input_size": info.input_size,
            "backend": self.backend.name,
            "scores": "probabilities" if self.calibrated else "peaks",
            "model": model,
        }

    def __call__(self, image: str | Path | np.ndarray, boxes: Sequence[Box] | None = None, *, refine: int = 0) -> list[Pose]:
        """Find the joints of each boxed person in one photograph.

        Parameters
        ----------
        image : path, or (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) array of uint8 or uint16
            Channels in OpenCV's order (blue, green, red, alpha).
        boxes : sequence of Box, optional
            Image pixels. Without them the whole picture is one person's box.
        refine : int
            How many times each box is taken anew from the joints found in it (`Pose.refined_box`), and looked in again. This
            helps where boxes are not quite about their people.

        Returns
        -------
        list of Pose : one for each box, in order: of all looks the one whose joints score best.

        Raises
        ------
        ImageError
            If the image cannot be read or is no picture.
        BoxError
            If a box lies wholly outside the picture.
        """
        return self.predict_images([image], None if boxes is None else [boxes], refine=refine)[0]

    def predict_images(
        self,
        images: Sequence[str | Path | np.ndarray],
        boxes: Sequence[Sequence[Box]] | None = None,
        *,
        refine: int = 0,
    ) -> list[list[Pose]]:
        """Find the joints of each boxed person in several photographs, whose sizes may differ; crops of all of them go in batches.

        Parameters
        ----------
        images : sequence of paths or arrays
            As for one; all are in memory at once.
        boxes : sequence of sequences of Box, optional
            Those of each photograph, which may be none. Without them each whole photograph is one person's box.
        refine : int
            As for one.

        Returns
        -------
        list of lists of Pose : of each photograph, as of one.

        Raises
        ------
        ImageError, BoxError
            As for one.
        ValueError
            If there are not as many sequences of boxes as photographs.
        TypeError
            If one of them is no Box.
        """
        images = [picture(image) for image in images]
        boxes = [[Box.of_picture(image)] for image in images] if boxes is None else boxes
        pairs = [(image, box) for image, theirs in zip(images, boxes, strict=True) for box in theirs]
        for image, box in pairs:
            if not isinstance(box, Box):
                raise TypeError(f"boxes: expected posekit.geometry.Box, got {box!r}; Box.from_xywh makes one of a rectangle")
            box.require_overlap(*image.shape[1::-1])
        best = poses = self._predict_pairs(pairs)
        for _ in range(refine):
            pairs = [(image, _refined(pose, image)) for (image, _), pose in zip(pairs, poses, strict=True)]
            poses = self._predict_pairs(pairs)
            best = [max(looks, key=lambda pose: pose.scores.mean()) for looks in zip(best, poses, strict=True)]
        each = iter(best)
        return [list(islice(each, len(theirs))) for theirs in boxes]

    def _predict_pairs(self, pairs: Sequence[tuple[np.ndarray, Box]]) -> list[Pose]:
        batches = (pairs[start : start + self.persons_at_once] for start in range(0, len(pairs), self.persons_at_once))
        return [pose for batch in batches for pose in self._predict_batch(batch)]

    def _predict_batch(self, pairs: Sequence[tuple[np.ndarray, Box]]) -> list[Pose]:
        size = self.info.input_size
        crops = np.stack([Crop(box.scaled(scale), size).warp_rgb(image) for image, box in pairs for scale in self.views.scales])
        joints, peaks = (result.cpu().numpy().astype(np.float64) for result in self.predict_crops(torch.from_numpy(crops)))
        rows = zip(pairs, joints, self._scores(peaks), peaks, strict=True)
        return [
            Pose(Crop(box, size).inverse(points), score, box, self.info.skeleton, peak) for (_, box), points, score, peak in rows
        ]

    def _scores(self, peaks_NK: np.ndarray) -> np.ndarray:
        """What the peaks are worth, as far as that is known of these views."""
        return self.info.calibrations[self.views.key](peaks_NK) if self.calibrated else np.clip(peaks_NK, 0, 1)

    def predict_crops(self, images_NHWC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Find the joints in crops.

        Parameters
        ----------
        images_NHWC : (B V, S, S, 3) uint8
            Red, green, blue; S the model's input size. Each person's crops at the V scales of `views`, one after the other.

        Returns
        -------
        joints : (B, K, 2) float32
            Pixels of the crop of scale 1, on the model's device.
        scores : (B, K) float32
            Peaks of the activated maps.
        """
        if self.views == PLAIN:
            return self.backend.joints(images_NHWC.to(self.device, non_blocking=True), self.decode)
        return decoded(self.predict_maps(images_NHWC), self.info, self.decode)

    @torch.inference_mode()
    def predict_maps(self, images_NHWC: torch.Tensor) -> torch.Tensor:
        """Activated heatmaps of crops, averaged over each person's views.

        Parameters
        ----------
        images_NHWC : (B V, S, S, 3) uint8
            As for `predict_crops`.

        Returns
        -------
        (B, K, H, W) float32, on the model's device.
        """
        return averaged_maps(self.backend.maps, images_NHWC.to(self.device, non_blocking=True), self.views, self.flip_order)

    def _peaks(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        maps = self.predict_maps(images)
        return heatmaps.find_peaks(maps, count=_PEAKS, method=self.decode, stride=images.shape[1] // maps.shape[-2])

    def predict_people(self, people: People, *, progress: bool = True) -> Predictions:
        """Find the joints of all annotated people, from their boxes, for evaluation.

        Whoever cannot be read gets NaN, is named on stderr, and counted there.

        Parameters
        ----------
        people : People
        progress : bool
            Whether to show a progress bar.

        Returns
        -------
        Predictions : in the model's skeleton, image pixels, one row for each person, in order; with the peaks of the heatmaps.

        Raises
        ------
        DataError
            If the people's skeleton shares no joint with the model's.
        ImageError
            If not one of the people could be read.
        """
        people = people.mapped_to(self.info.skeleton)
        n, k = people.labelled.shape
        peaks, heights = np.full((n, k, _PEAKS, 2), np.nan), np.full((n, k, _PEAKS), np.nan)
        failures: list[Failure] = []
        with tqdm(total=n, desc="predict", unit="person", disable=not progress) as bar:
            for index, *found, failed in predict_batches(self._loader(people), people, self._peaks):
                peaks[index], heights[index] = found
                failures += failed
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
        """Activated heatmaps of annotated people, averaged over the views, to be looked at.

        Returns
        -------
        (N, K, H, W) float32 : in the frame of the crop of the person's box, four times smaller; of a black crop where a
            photograph cannot be read.
        """
        return torch.cat([maps.cpu() for _, maps, _ in self.map_batches(people)]).numpy()

    def map_batches(self, people: People) -> Iterator[tuple[np.ndarray, torch.Tensor, tuple[Failure, ...]]]:
        """Activated heatmaps as of `heatmaps`, a batch of people at a time, for whoever cannot keep them all.

        Yields
        ------
        index : (B,) int64
            Places in `people`.
        maps : (B, K, H, W) float32
            On the model's device.
        failures : tuple of Failure
            One for each of the B whose crop could not be made: it is black.

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
        return make_loader(dataset, EpochBatches(len(people), self.persons_at_once), workers=self.workers)


def load(weights: str | Path = DEFAULT, **options) -> Predictor:
    """Make a `Predictor` from a weights file, or from weights that come with posekit; `options` are those of `Predictor`.

    Raises
    ------
    WeightsError
        If there is no such file and no such name.
    """
    return Predictor(weights, **options)


def _refined(pose: Pose, image: np.ndarray) -> Box:
    """The pose's refined box, or where that lies outside the picture, the box it was found in."""
    box = pose.refined_box()
    return box if box.overlaps(*image.shape[1::-1]) else pose.box


def picture(image: str | Path | np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) uint8, blue, green, red, from a file or an array; `ImageError` if it is none."""
    return as_bgr8(image) if isinstance(image, np.ndarray) else read_image(image)


def as_bgr8(image: np.ndarray) -> np.ndarray:
    """A picture in memory as 8-bit colour, as `posekit.images.read_image` gives a file.

    Grey is repeated over the channels, 16 bits are reduced to 8, an alpha channel is dropped.

    Parameters
    ----------
    image : (H, W) or (H, W, 1 | 3 | 4) uint8 or uint16

    Returns
    -------
    (H, W, 3) uint8

    Raises
    ------
    ImageError
        If the array has another shape or dtype. Of a float array nobody can tell what white is.
    """
    if image.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"image array of {image.dtype}: expected uint8 or uint16. If 1.0 is white, give (255 * image).astype(np.uint8)"
        )
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or not image.size:
        raise ImageError(f"image array of shape {image.shape}: expected (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), not empty")
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if image.shape[2] == 1:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(image[..., :3])


def report_failures(failures: Sequence[Failure], people: People) -> None:
    """Name on stderr whoever could not be read, and count them.

    Raises
    ------
    ImageError
        If not one of the people could be read.
    """
    for failure in failures:
        print(f"not predicted: {failure.message}", file=sys.stderr)
    if failures and len(failures) == len(people):
        raise ImageError(
            f"{people.name} {people.split}: not one of {len(people)} people could be read; first {failures[0].message}"
        )
    if failures:
        print(f"{len(failures)} of {len(people)} people not predicted", file=sys.stderr)
