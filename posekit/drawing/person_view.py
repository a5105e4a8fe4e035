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
    """Person in an image, with the true joints, for figures.

    Parameters
    ----------
    title : str
        Description of the person, for titles of figures.
    image : (H, W, 3) uint8
        BGR.
    box : Box
        The person's bounding box in image pixels.
    skeleton : Skeleton
    joints : (K, 2) float64
        True locations of the joints in image pixels; arbitrary where unknown.
    known : (K,) bool
        True where the true location is known.
    truth : str
        Source of the true locations, for figures.
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
            raise ValueError(
                f"person view: expected joints ({k}, 2) and known ({k},), got {self.joints.shape} and {self.known.shape}"
            )

    def crop(self, size: int) -> Crop:
        """Return the affine transform of the person's crop, `size` pixels wide and high."""
        return Crop(self.box, size)

    def cropped(self, size: int) -> np.ndarray:
        """Return the person's crop as a (size, size, 3) uint8 BGR image, black outside the source image."""
        return self.crop(size).warp(self.image)


@dataclass(frozen=True)
class ModelOutput:
    """Output of a model for one person. All points are in pixels of the model's input crop.

    Parameters
    ----------
    view : PersonView
        The person; the joints are those of the model's skeleton.
    size : int
        Width and height of the input crop.
    maps : (K, h, w) float32
        Heatmaps after the activation.
    predicted : (K, 2) float32
        Predicted locations of the joints.
    scores : (K,) float32
        Peak heights of the heatmaps.
    target_options : mapping
        Options of `posekit.heatmaps.encode` used in the model's training (`posekit.models.ModelInfo.target_options`).
    """

    view: PersonView
    size: int
    maps: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray
    target_options: Mapping[str, Any]

    @cached_property
    def truth(self) -> np.ndarray:
        """(K, 2) float64 array: true locations of the joints; NaN where unknown."""
        joints = self.view.crop(self.size).forward(self.view.joints)
        return np.where(self.view.known[:, None], joints, np.nan)

    @cached_property
    def targets(self) -> np.ndarray:
        """(K, h, w) float32 array: target heatmaps, drawn as in the model's training; 0 for joints with unknown location."""
        joints = torch.from_numpy(self.truth)[None]
        known = torch.from_numpy(self.view.known)[None]
        size = self.maps.shape[-1]
        return heatmaps.encode(joints, known, size=size, stride=self.size // size, **self.target_options)[0].numpy()

    def explain(self, gamma: float, anchor: float | None = None) -> AnchorMaps:
        """Compute the parts of anchor loss for each heatmap pixel, as float64 (1, K, …) tensors (see `posekit.losses.explain`)."""
        maps = torch.from_numpy(self.maps).double()[None]
        targets = torch.from_numpy(self.targets).double()[None]
        return anchor_maps(maps, targets, gamma, anchor=anchor)

    def missing_anchor(self, joint: int) -> str:
        """Explain, for figures, why a joint's heatmap has no anchor; an empty string if the heatmap has an anchor."""
        if not self.view.known[joint]:
            return "true location not known"
        return "" if self.targets[joint].max() > 0.5 else "no anchor: outside the crop"
