"""Batches of labelled images, created in the workers of the data loader."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from posekit.data.crops import Failure, TensorBatch
from posekit.data.labelled_images import ImageFiles, LabelledImages
from posekit.errors import ImageError
from posekit.images import cv2

IGNORED = -100
"""Label of images that could not be read; the losses ignore this label."""

# Side of the centre crop in evaluation, as a fraction of the image's shorter side: the usual 224 of 256 pixels.
_CENTRE_CROP = 7 / 8


@dataclass(frozen=True)
class ImageBatch(TensorBatch):
    """Batch of images with their classes, as tensors on one device.

    Parameters
    ----------
    images : (B, S, S, 3) uint8
        RGB images; images that could not be read are black.
    labels : (B,) int64
        Classes; `IGNORED` for images that could not be read.
    shifts : (B, 2) int64
    mirrored : (B,) bool
        Arguments of `shift_and_mirror`.
    index : (B,) int64
        Indices of the images in the data set.
    failures : tuple of Failure
        Images that could not be read.
    """

    images: Tensor
    labels: Tensor
    shifts: Tensor
    mirrored: Tensor
    index: Tensor
    failures: tuple[Failure, ...] = ()


class ImageDataset(Dataset):
    """Data set that returns whole batches of images.

    A batch depends only on the seed, the epoch and the indices, so that a run can be resumed at any batch.

    Parameters
    ----------
    images : LabelledImages
    size : int
        Side of the images in the batch, in pixels. Image files are cropped and resized; arrays must already have this size.
    augmented : bool
        Whether to augment the images for training: mirror and shift at random, and crop image files at random.
    pad : int
        Largest shift in pixels.
    seed : int
        Random seed of the augmentation.
    """

    def __init__(self, images: LabelledImages, *, size: int, augmented: bool = False, pad: int = 0, seed: int = 0):
        self.images = images
        self.size = size
        self.augmented = augmented
        self.pad = pad
        self.seed = seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, keys: Sequence[tuple[int, int]]) -> ImageBatch:
        """Return the batch for a sequence of (epoch, index) pairs, which may be empty."""
        index = np.array([index for _, index in keys], np.int64)
        images = self.images.images
        failures: list[Failure] = []
        pixels = self._read_crops(images, keys, failures) if isinstance(images, ImageFiles) else images[index]
        labels = torch.from_numpy(self.images.labels[index])
        labels[np.isin(index, [failure.index for failure in failures])] = IGNORED
        shifts = torch.zeros(len(keys), 2, dtype=torch.int64)
        mirrored = torch.zeros(len(keys), dtype=torch.bool)
        if self.augmented and keys:
            state = np.random.SeedSequence([self.seed, *keys[0]]).generate_state(1, np.uint64)[0]
            generator = torch.Generator().manual_seed(int(state >> np.uint64(1)))
            shifts, mirrored = draw_shifts(len(keys), generator, self.pad)
        return ImageBatch(torch.from_numpy(pixels), labels, shifts, mirrored, torch.from_numpy(index), tuple(failures))

    def _read_crops(self, files: ImageFiles, keys: Sequence[tuple[int, int]], failures: list[Failure]) -> np.ndarray:
        """Read and crop image files; append unreadable images to `failures`."""
        crops = np.zeros((len(keys), self.size, self.size, 3), np.uint8)
        for row, (epoch, index) in enumerate(keys):
            try:
                crops[row] = self._crop(files[index], epoch, index)
            except ImageError as error:
                failures.append(Failure(index, f"image {index}: {error}"))
        return crops

    def _crop(self, image: np.ndarray, epoch: int, index: int) -> np.ndarray:
        height, width = image.shape[:2]
        if self.augmented:
            x, y, w, h = draw_crop(np.random.default_rng([self.seed, epoch, index]), width, height)
        else:
            w = h = max(1, round(_CENTRE_CROP * min(width, height)))
            x = (width - w) // 2
            y = (height - h) // 2
        interpolation = cv2.INTER_AREA if min(w, h) > self.size else cv2.INTER_LINEAR
        return cv2.resize(image[y : y + h, x : x + w], (self.size, self.size), interpolation=interpolation)


def draw_crop(rng: np.random.Generator, width: int, height: int) -> tuple[int, int, int, int]:
    """Choose a random crop of an image: 8 to 100 % of the image area, with an aspect ratio of 3:4 to 4:3.

    Source: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6. Returns the top left corner x, y, the width
    and the height in pixels. If ten random crops do not fit into the image, the result is the largest centred square.
    """
    for _ in range(10):
        area = width * height * rng.uniform(0.08, 1.0)
        ratio = np.exp(rng.uniform(*np.log((3 / 4, 4 / 3))))
        w = round(np.sqrt(area * ratio))
        h = round(np.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            x = int(rng.integers(width - w + 1))
            y = int(rng.integers(height - h + 1))
            return x, y, w, h
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side, side


def draw_shifts(count: int, generator: torch.Generator, pad: int) -> tuple[Tensor, Tensor]:
    """Draw the shifts (uniform from ``-pad`` to ``pad``) and the mirroring (probability 0.5) for `shift_and_mirror`."""
    shifts = torch.randint(-pad, pad + 1, (count, 2), generator=generator)
    mirrored = torch.randint(2, (count,), generator=generator, dtype=torch.bool)
    return shifts, mirrored


def shift_and_mirror(images: Tensor, shifts: Tensor, mirrored: Tensor) -> Tensor:
    """Shift every image and mirror some images, on the device of the images.

    Parameters
    ----------
    images : (B, H, W, 3)
    shifts : (B, 2) int64
        Position x, y in the input of the result's top left pixel, before mirroring. Pixels outside the input are black.
    mirrored : (B,) bool
        True for images to mirror.

    Returns
    -------
    (B, H, W, 3)
        Shifted, then mirrored images, in the dtype of the input.
    """
    count, height, width, _ = images.shape
    device = images.device
    shifts = shifts.to(device, non_blocking=True)
    mirrored = mirrored.to(device, non_blocking=True)
    column = torch.arange(width, device=device)
    x = torch.where(mirrored[:, None], width - 1 - column, column) + shifts[:, :1]
    y = torch.arange(height, device=device) + shifts[:, 1:]
    inside = ((x >= 0) & (x < width))[:, None] & ((y >= 0) & (y < height))[:, :, None]
    batch = torch.arange(count, device=device)[:, None, None]
    shifted = images[batch, y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None]]
    return torch.where(inside[..., None], shifted, 0)


def classify_batches(
    batches: Iterable[ImageBatch], predict: Callable[[Tensor], Tensor]
) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[Failure, ...]]]:
    """Classify batches of images without augmentation.

    Parameters
    ----------
    batches : iterable of ImageBatch
        Batches of a data set with ``augmented=False``.
    predict : callable
        Computes (B, C) logits from (B, S, S, 3) uint8 images.

    Yields
    ------
    index : (B,) int64
    logits : (B, C) float32
        NaN for images that could not be read.
    failures : tuple of Failure
    """
    for batch in batches:
        if len(batch):
            logits = predict(batch.images).float().cpu().numpy()
            logits[(batch.labels == IGNORED).numpy()] = np.nan
            yield batch.index.numpy(), logits, batch.failures
