"""Classes of images, with nothing but a weights file."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from posekit.data.crops import EpochBatches, identity_collate, make_loader, require_few_failures
from posekit.data.labelled_images import LabelledImages
from posekit.errors import DataError
from posekit.models import load_weights, normalise
from posekit.prediction.backends import find_device
from posekit.tasks.classifier.data import ImageDataset, classify_batches
from posekit.tasks.classifier.model import ClassifierInfo

_BATCH = 64


@torch.inference_mode()
def classify_images(weights: str | Path, images: LabelledImages, *, device: str = "auto", workers: int = 0) -> np.ndarray:
    """Logits of a trained classifier for images as they are, photographs cut to their middle.

    Parameters
    ----------
    weights : str or Path
        As ``tools/train_classifier.py`` writes them.
    images : LabelledImages
        Of the classes that the weights know.
    device : str
        "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", …
    workers : int
        Processes that read photographs.

    Returns
    -------
    (N, C) float32
        NaN for images that cannot be read.

    Raises
    ------
    WeightsError
        If the file cannot be used.
    DataError
        If the classes are others, or more than 1 % of the images cannot be read.
    """
    device = find_device(device)
    model, info = load_weights(weights, device, info_class=ClassifierInfo)
    if info.classes != images.classes:
        raise DataError(f"{images.name} {images.split}: other classes than {weights} was trained on ({len(info.classes)})")
    prepare = partial(normalise, mean=info.mean, std=info.std)
    dataset, batches = ImageDataset(images, size=info.input_size), EpochBatches(len(images), _BATCH)
    bar = tqdm(
        make_loader(dataset, batches, workers=workers, collate=identity_collate), desc="classifying", unit="batch", leave=False
    )
    found = list(classify_batches(bar, lambda pixels: model(prepare(pixels.to(device)))))
    require_few_failures([failure for *_, failures in found for failure in failures], len(images), images.split)
    return np.concatenate([logits for _, logits, _ in found])
