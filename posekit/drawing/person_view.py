"""One person in an image, and a model's output for the person's crop."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from posekit import heatmaps
from posekit.geometry import Box, Crop
from posekit.losses.explain import AnchorMaps, anchor_maps
from posekit.skeletons import Skeleton


@dataclass(frozen=True)
class PersonView:
    """A person in an image.

    Parameters
    ----------
    title : str
        The person's name in figures.
    image : (H, W, 3) uint8
        Blue, green, red.
    box : Box
        Image pixels.
    skeleton : Skeleton
    joints : (K, 2) float64
        True places of the joints, image pixels; any value where unknown.
    known : (K,) bool
        Whether the true place is known.
    truth : str
        Source of the true places, for figures.

    Raises
    ------
    ValueError
        If an array has the wrong shape.
    """

    title: str
    image: np.ndarray
    box: Box
    skeleton: Skeleton
    joints: np.ndarray
    known: np.ndarray
    truth: str = "the annotation"

    def __post_init__(self):
        k = len(self.skeleton)
        if self.joints.shape != (k, 2) or self.known.shape != (k,):
            raise ValueError(f"view: expected joints ({k}, 2) and known ({k},), got {self.joints.shape}, {self.known.shape}")

    def crop(self, size: int) -> Crop:
        """The person's crop, `size` pixels wide."""
        return Crop(self.box, size)

    def cropped(self, size: int) -> np.ndarray:
        """(size, size, 3) uint8, blue, green, red: pixels of the crop; black outside the image."""
        return self.crop(size).warp(self.image)


@dataclass(frozen=True)
class ModelOutput:
    """A model's output for one person. All points are pixels of the model's crop.

    Parameters
    ----------
    view : PersonView
        In the model's skeleton.
    size : int
        Side of the crop.
    maps : (K, h, w) float32
        Activated heatmaps.
    predicted : (K, 2) float32
    scores : (K,) float32
        Heights of the maps' peaks.
    target_options : mapping
        Options of `posekit.heatmaps.encode` with which the model was trained (`posekit.models.ModelInfo.target_options`).
    """

    view: PersonView
    size: int
    maps: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray
    target_options: Mapping[str, Any]

    @cached_property
    def truth(self) -> np.ndarray:
        """(K, 2) float64 true places of the joints; NaN where unknown."""
        joints = self.view.crop(self.size).forward(self.view.joints)
        return np.where(self.view.known[:, None], joints, np.nan)

    @cached_property
    def targets(self) -> np.ndarray:
        """(K, h, w) float32 target heatmaps, drawn as in the model's training; 0 where the truth is unknown."""
        joints = torch.from_numpy(self.truth)[None]
        known = torch.from_numpy(self.view.known)[None]
        size = self.maps.shape[-1]
        return heatmaps.encode(joints, known, size=size, stride=self.size // size, **self.target_options)[0].numpy()

    def explain(self, gamma: float, anchor: float | None = None) -> AnchorMaps:
        """Anchor loss on the K maps, pixel by pixel; every tensor float64 (1, K, …). See `posekit.losses.explain.anchor_maps`."""
        maps = torch.from_numpy(self.maps).double()[None]
        targets = torch.from_numpy(self.targets).double()[None]
        return anchor_maps(maps, targets, gamma, anchor=anchor)


def missing_anchor(output: ModelOutput, joint: int) -> str:
    """Explain, for figures, why a joint's map has no anchor; "" if it has one."""
    if not output.view.known[joint]:
        return "true place not known"
    return "" if output.targets[joint].max() > 0.5 else "no anchor: outside the crop"
