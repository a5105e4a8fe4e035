"""Description of a classifier, stored in its weights file, and classification of images."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from posekit.data.crops import EpochBatches, Failure, identity_collate, make_loader, require_few_failures
from posekit.data.labelled_images import LabelledImages
from posekit.errors import DataError
from posekit.models import CLASSIFIERS, WeightsInfo, build_classifier, load_weights, normalise
from posekit.models.weights import Note
from posekit.prediction.backends import find_device
from posekit.tasks.classifier.data import ImageDataset, classify_batches

_BATCH = 64


@dataclass(frozen=True)
class ClassifierInfo(WeightsInfo):
    """Description of a classifier: everything except the weights that is needed to classify images.

    Parameters
    ----------
    network : str
        Name of the network, see `posekit.models.build_classifier`.
    classes : tuple of str
        Class names, in the order of the logits.
    input_size : int
        Side of the network's square input in pixels.
    head : {"sigmoid", "softmax"}
        Activation that converts logits to probabilities.
    mean, std : three floats
        RGB statistics for values in [0, 1]: the network's input is ``(x / 255 - mean) / std`` for uint8 images x.
    notes : mapping of str to str, number, bool or None
        Free notes, see `posekit.models.weights.WeightsInfo`.
    """

    network: str
    classes: tuple[str, ...]
    input_size: int
    head: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    notes: Mapping[str, Note] = field(default_factory=dict)

    key: ClassVar = "posekit-classifier"
    title: ClassVar = "a classifier"
    tuples: ClassVar = ("classes", "mean", "std")

    def __post_init__(self):
        if self.network not in CLASSIFIERS:
            raise ValueError(f"network: expected one of {', '.join(CLASSIFIERS)}, got {self.network!r}")
        if self.head not in ("sigmoid", "softmax"):
            raise ValueError(f"head: expected sigmoid or softmax, got {self.head!r}")

    def build(self) -> nn.Module:
        """Build the network with random weights."""
        return build_classifier(self.network, len(self.classes))


@torch.inference_mode()
def classify_images(weights: str | Path, images: LabelledImages, *, device: str = "auto", workers: int = 0) -> np.ndarray:
    """Classify images with a trained network; image files are centre-cropped and resized.

    Parameters
    ----------
    weights : str or Path
        Weights file written by ``tools/train_classifier.py``.
    images : LabelledImages
        Images with the same classes as the training data of the weights.
    device : str
        "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", …
    workers : int
        Number of data loading processes; 0: this process loads the images.

    Returns
    -------
    (N, C) float32
        Logits; NaN for images that cannot be read.

    Raises
    ------
    WeightsError
        If the weights file cannot be used.
    DataError
        If the classes differ, or more than 1 % of the images cannot be read.
    """
    torch_device = find_device(device)
    model, info = load_weights(weights, torch_device, info_class=ClassifierInfo)
    if info.classes != images.classes:
        raise DataError(f"{images.name} {images.split}: the classes differ from the {len(info.classes)} classes of {weights}")
    prepare = partial(normalise, mean=info.mean, std=info.std)

    def predict(pixels: Tensor) -> Tensor:
        return model(prepare(pixels.to(torch_device)))

    dataset = ImageDataset(images, size=info.input_size)
    loader = make_loader(dataset, EpochBatches(len(images), _BATCH), workers=workers, collate=identity_collate)
    bar = tqdm(loader, desc="classifying", unit="batch", leave=False)
    logits = []
    failures: list[Failure] = []
    for _, batch_logits, batch_failures in classify_batches(bar, predict):
        logits.append(batch_logits)
        failures += batch_failures
    require_few_failures(failures, len(images), images.split)
    return np.concatenate(logits)
