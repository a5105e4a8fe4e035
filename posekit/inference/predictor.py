"""`Predictor`: from photographs to poses, with nothing but a weights file."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from posekit import heatmaps
from posekit.datasets.loader import CropDataset, EpochBatches, make_loader, predict_batches
from posekit.errors import ConfigError, ImageError, WeightsError
from posekit.geometry import Box, Crop
from posekit.images import read_image
from posekit.inference.pose import Pose
from posekit.models import load_weights, normalise
from posekit.opencv import cv2
from posekit.predictions import Predictions
from posekit.sample import Failure, People


class Predictor:
    """Finds the joints of people whose boxes are given.

    Parameters
    ----------
    weights : str or Path
        A .safetensors file, as ``tools/train.py`` writes it.
    device : str
        "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", …
    decode : {"quarter", "dark", "argmax"}
        How a heatmap becomes a point; see `posekit.heatmaps.decode`.
    batch_size : int
        Crops that go through the model at once.
    workers : int
        Processes that read photographs in `predict_people`.

    Attributes
    ----------
    model : torch.nn.Module
    info : posekit.models.ModelInfo
        Skeleton, input size, normalisation and head, from the weights file.
    device : torch.device

    Raises
    ------
    WeightsError
        If the weights file cannot be read.
    ConfigError
        If there is no such device or decoding.
    """

    def __init__(
        self, weights: str | Path, *, device: str = "auto", decode: str = "quarter", batch_size: int = 32, workers: int = 0
    ):
        if decode not in heatmaps.METHODS:
            raise ConfigError(f"decode {decode!r}: choose from {', '.join(heatmaps.METHODS)}")
        self.device = find_device(device)
        self.model, self.info = load_weights(weights, self.device)
        self.model.eval().to(memory_format=torch.channels_last)
        self.decode, self.batch_size, self.workers = decode, batch_size, workers

    def __call__(self, image: str | Path | np.ndarray, boxes: Sequence[Box] | None = None) -> list[Pose]:
        """Find the joints of each boxed person in one photograph.

        Parameters
        ----------
        image : path, or (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) array of uint8 or uint16
            Channels in OpenCV's order (blue, green, red, alpha).
        boxes : sequence of Box, optional
            Image pixels. Without them the whole picture is one person's box.

        Returns
        -------
        list of Pose : one for each box, in order.

        Raises
        ------
        ImageError
            If the image cannot be read or is no picture.
        BoxError
            If a box lies wholly outside the picture.
        """
        image = as_bgr8(image) if isinstance(image, np.ndarray) else read_image(image)
        height, width = image.shape[:2]
        if boxes is None:
            boxes = [Box.from_xywh(0, 0, width, height, margin=1.0)]
        for box in boxes:
            box.require_overlap(width, height)
        poses = []
        for start in range(0, len(boxes), self.batch_size):
            poses += self._predict_boxes(image, boxes[start : start + self.batch_size])
        return poses

    def _predict_boxes(self, image: np.ndarray, boxes: Sequence[Box]) -> list[Pose]:
        crops = [Crop(box, self.info.input_size) for box in boxes]
        images = torch.from_numpy(np.stack([cv2.cvtColor(crop.warp(image), cv2.COLOR_BGR2RGB) for crop in crops]))
        joints, scores = (result.cpu().numpy().astype(np.float64) for result in self.predict_crops(images))
        rows = zip(crops, joints, scores, strict=True)
        return [Pose(crop.inverse(points), score, crop.box, self.info.skeleton) for crop, points, score in rows]

    @torch.inference_mode()
    def predict_crops(self, images_BHWC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the model on crops.

        Parameters
        ----------
        images_BHWC : (B, S, S, 3) uint8
            Red, green, blue; S the model's input size.

        Returns
        -------
        joints : (B, K, 2) float32
            Crop pixels, on the model's device.
        scores : (B, K) float32
            Peaks of the activated maps.
        """
        inputs = normalise(images_BHWC.to(self.device, non_blocking=True), self.info.mean, self.info.std)
        logits = self.model(inputs)[-1]
        maps = self.model.activate(logits)
        return heatmaps.decode(maps, method=self.decode, stride=images_BHWC.shape[1] // maps.shape[-2])

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
        Predictions : in the model's skeleton, image pixels, one row for each person, in order.

        Raises
        ------
        DataError
            If the people's skeleton shares no joint with the model's.
        ImageError
            If not one of the people could be read.
        """
        people = people.mapped_to(self.info.skeleton)
        n, k = people.labelled.shape
        joints, scores = np.full((n, k, 2), np.nan), np.full((n, k), np.nan)
        dataset = CropDataset(people, size=self.info.input_size)
        loader = make_loader(dataset, EpochBatches(n, self.batch_size), workers=self.workers)
        failures: list[Failure] = []
        with tqdm(total=n, desc="predict", unit="person", disable=not progress) as bar:
            for index, *found, failed in predict_batches(loader, people, self.predict_crops):
                joints[index], scores[index] = found
                failures += failed
                bar.update(len(index))
        _report(failures, people)
        return Predictions(joints, scores, np.arange(n), self.info.skeleton, people.name, people.split)


def load(weights: str | Path, **options) -> Predictor:
    """Make a `Predictor` from a weights file; `options` are those of `Predictor`.

    Raises
    ------
    WeightsError
        If there is no such file.
    """
    if not Path(weights).is_file():
        raise WeightsError(
            f"{weights}: no such weights file. Give the path of a .safetensors file: tools/train.py writes best.safetensors "
            "and final.safetensors into its --out folder"
        )
    return Predictor(weights, **options)


def find_device(name: str) -> torch.device:
    """The device of that name; "auto" is a GPU if there is one.

    Raises
    ------
    ConfigError
        If the name is no device's, or this machine lacks it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without CUDA
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {name!r} cannot be used ({reason}); choose auto, cpu, cuda or cuda:N") from error
    return device


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


def _report(failures: Sequence[Failure], people: People) -> None:
    for failure in failures:
        print(f"not predicted: {failure.message}", file=sys.stderr)
    if failures and len(failures) == len(people):
        raise ImageError(
            f"{people.name} {people.split}: not one of {len(people)} people could be read; first {failures[0].message}"
        )
    if failures:
        print(f"{len(failures)} of {len(people)} people not predicted", file=sys.stderr)
