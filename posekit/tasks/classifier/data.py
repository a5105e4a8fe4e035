"""From labelled images to batches: what the loader's workers do for classifiers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from posekit.data.batch import TensorBatch
from posekit.data.labelled_images import ImageFiles, LabelledImages
from posekit.data.sample import Failure
from posekit.errors import ImageError
from posekit.opencv import cv2

IGNORED = -100
"""Label of an image that could not be read; losses leave it out."""

_MARGIN = 7 / 8  # of a photograph's shorter side that is evaluated: 224 of 256 pixels, as is usual
# Of the photograph that is cut out in training, as is usual since GoogLeNet (Szegedy et al., CVPR 2015).
_AREA, _RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
_TRIES = 10


@dataclass(frozen=True)
class ImageBatch(TensorBatch):
    """Images with their classes, as tensors on one device.

    Parameters
    ----------
    images : (B, S, S, 3) uint8
        Red, green, blue.
    labels : (B,) int64
        `IGNORED` of those that could not be read.
    shifts : (B, 2) int64
    mirrored : (B,) bool
        What `posekit.data.labelled_images.shift_and_mirror` is to do with them.
    index : (B,) int64
        Places in the data set.
    failures : tuple of Failure
        Those that could not be read: they are black.
    """

    images: torch.Tensor
    labels: torch.Tensor
    shifts: torch.Tensor
    mirrored: torch.Tensor
    index: torch.Tensor
    failures: tuple[Failure, ...] = ()


class ImageDataset(Dataset):
    """Whole batches of images. They depend on seed, epoch and places alone, so that a run can be resumed at any batch.

    Parameters
    ----------
    images : LabelledImages
    size : int
        Side in pixels of what comes out. Photographs are cut to it; an array's images have it already.
    augmented : bool
        As in training: each is mirrored or not, shifted by up to `pad` pixels, and a photograph is cut anywhere.
    pad : int
    seed : int
    """

    def __init__(self, images: LabelledImages, *, size: int, augmented: bool = False, pad: int = 0, seed: int = 0):
        self.images, self.size, self.augmented, self.pad, self.seed = images, size, augmented, pad, seed

    def __len__(self):
        return len(self.images)

    def __getitems__(self, keys: Sequence[tuple[int, int]]) -> ImageBatch:
        """The batch of these (epoch, index), which may be none."""
        index = np.array([place for _, place in keys], np.int64)
        pixels, failures = self._pixels(keys, index)
        labels = torch.from_numpy(self.images.labels[index])
        labels[np.isin(index, [failure.index for failure in failures])] = IGNORED
        shifts, mirrored = self._draw(keys)
        return ImageBatch(torch.from_numpy(pixels), labels, shifts, mirrored, torch.from_numpy(index), tuple(failures))

    def _draw(self, keys: Sequence[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
        if not (self.augmented and len(keys)):
            return torch.zeros(len(keys), 2, dtype=torch.int64), torch.zeros(len(keys), dtype=torch.bool)
        state = np.random.SeedSequence([self.seed, *keys[0]]).generate_state(1, np.uint64)[0]
        return draw_shifts(len(keys), torch.Generator().manual_seed(int(state >> np.uint64(1))), self.pad)

    def _pixels(self, keys: Sequence[tuple[int, int]], index: np.ndarray) -> tuple[np.ndarray, list[Failure]]:
        if not isinstance(self.images.images, ImageFiles):
            return self.images.images[index], []
        cut, failures = np.zeros((len(index), self.size, self.size, 3), np.uint8), []
        for place, key in enumerate(keys):
            try:
                cut[place] = self._cut(key)
            except ImageError as error:
                failures.append(Failure(key[1], f"image {key[1]}: {error}"))
        return cut, failures

    def _cut(self, key: tuple[int, int]) -> np.ndarray:
        epoch, index = key
        image = self.images.images[index]
        height, width = image.shape[:2]
        if self.augmented:
            x, y, w, h = draw_cut(np.random.default_rng([self.seed, epoch, index]), width, height)
        else:
            w = h = max(1, round(_MARGIN * min(width, height)))
            x, y = (width - w) // 2, (height - h) // 2
        smaller = min(w, h) > self.size
        return cv2.resize(
            image[y : y + h, x : x + w], (self.size, self.size), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        )


def draw_cut(rng: np.random.Generator, width: int, height: int) -> tuple[int, int, int, int]:
    """Draw which part of a photograph is cut out: 8 to 100 % of its area, its sides as 3 to 4 up to 4 to 3.

    Source: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6.

    Parameters
    ----------
    rng : np.random.Generator
    width, height : int
        Pixels.

    Returns
    -------
    x, y, width, height : int
        The largest square in the middle where ten draws do not fit.
    """
    for _ in range(_TRIES):
        area, ratio = width * height * rng.uniform(*_AREA), np.exp(rng.uniform(*np.log(_RATIO)))
        w, h = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1)), w, h
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side, side


def draw_shifts(count: int, generator: torch.Generator, pad: int = 4) -> tuple[Tensor, Tensor]:
    """Draw how to augment a batch; the same generator state gives the same.

    Parameters
    ----------
    count : int
        B, images.
    generator : torch.Generator
        The tensors are on its device.
    pad : int
        Pixels by which a crop may be shifted.

    Returns
    -------
    shifts : (B, 2) int64
        x, y in pixels, from ``-pad`` to ``pad``, all equally likely: where in the image the crop begins.
    mirrored : (B,) bool
        Each with a probability of one half.
    """
    device = generator.device
    shifts = torch.randint(-pad, pad + 1, (count, 2), generator=generator, device=device)
    return shifts, torch.randint(2, (count,), generator=generator, device=device, dtype=torch.bool)


def shift_and_mirror(images: Tensor, shifts: Tensor, mirrored: Tensor) -> Tensor:
    """Cut a crop of its own size out of every image and mirror some of them, on the images' device.

    Parameters
    ----------
    images : (B, H, W, 3)
    shifts : (B, 2) int64
        Where the crop begins, x, y in the image's pixels. What lies outside is 0, black.
    mirrored : (B,) bool

    Returns
    -------
    (B, H, W, 3)
        Pixel (x, y) is the image's (x + shift_x, y + shift_y), mirrored afterwards; of the images' dtype.
    """
    count, height, width, _ = images.shape
    shifts, mirrored = shifts.to(images.device, non_blocking=True), mirrored.to(images.device, non_blocking=True)
    x, y = (torch.arange(size, device=images.device) for size in (width, height))
    x = torch.where(mirrored[:, None], width - 1 - x, x) + shifts[:, :1]
    y = y + shifts[:, 1:]
    inside = ((x >= 0) & (x < width))[:, None] & ((y >= 0) & (y < height))[:, :, None]
    batch = torch.arange(count, device=images.device)[:, None, None]
    cut = images[batch, y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None]]
    return torch.where(inside[..., None], cut, 0)


def classify_batches(
    loader: DataLoader, predict: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[Failure, ...]]]:
    """Run a classifier over plain images.

    Parameters
    ----------
    loader : DataLoader
        Batches of an `ImageDataset` that is not augmented.
    predict : callable
        (B, S, S, 3) uint8 -> (B, C) logits.

    Yields
    ------
    index : (B,) int64
    logits : (B, C) float32
        NaN for images that could not be read.
    failures : tuple of Failure
    """
    for batch in loader:
        if len(batch):
            logits = predict(batch.images).float().cpu().numpy()
            logits[(batch.labels == IGNORED).numpy()] = np.nan
            yield batch.index.numpy(), logits, batch.failures
