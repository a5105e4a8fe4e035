"""One person to look at: photograph, box, what is known of the joints, and what a model says."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from posekit import heatmaps
from posekit.geometry import Box, Crop
from posekit.losses.explain import AnchorMaps, anchor_maps
from posekit.skeletons import Skeleton


@dataclass(frozen=True)
class PersonView:
    """A person in a photograph.

    Parameters
    ----------
    title : str
        What pictures of the person are called.
    image : (H, W, 3) uint8
        The photograph; blue, green, red.
    box : Box
        Image pixels.
    skeleton : Skeleton
    joints : (K, 2) float64
        Where the joints truly are, image pixels; what is not known means nothing.
    known : (K,) bool
        Whether that is known.
    truth : str
        Where the knowledge comes from, as pictures tell it.
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

    def picture(self, size: int) -> np.ndarray:
        """(size, size, 3) uint8, blue, green, red: the crop; black outside the photograph."""
        return self.crop(size).warp(self.image)


@dataclass(frozen=True)
class ModelOutput:
    """What one model says about one person. All points are pixels of the model's crop.

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
        How the targets of the model's training were drawn (`posekit.models.ModelInfo.target_options`).
    """

    view: PersonView
    size: int
    maps: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray
    target_options: Mapping[str, float | bool]

    @cached_property
    def truth(self) -> np.ndarray:
        """(K, 2) float64: where the joints truly are; NaN where that is not known."""
        return np.where(self.view.known[:, None], self.view.crop(self.size).forward(self.view.joints), np.nan)

    @cached_property
    def targets(self) -> np.ndarray:
        """(K, h, w) float32: the target heatmaps, drawn as for this model's training; 0 where the truth is not known."""
        joints, known = torch.from_numpy(self.truth)[None], torch.from_numpy(self.view.known)[None]
        size = self.maps.shape[-1]
        return heatmaps.encode(joints, known, size=size, stride=self.size // size, **self.target_options)[0].numpy()

    def explain(self, gamma: float, anchor: float | None = None) -> AnchorMaps:
        """Anchor loss on the K maps, pixel by pixel; every tensor float64 (1, K, …). See `posekit.losses.explain.anchor_maps`."""
        maps, targets = (torch.from_numpy(found).double()[None] for found in (self.maps, self.targets))
        return anchor_maps(maps, targets, gamma, anchor=anchor)


def no_anchor(found: ModelOutput, joint: int) -> str:
    """Why a joint's map has no anchor, as pictures tell it; "" if it has one."""
    if not found.view.known[joint]:
        return "true place not known"
    return "" if found.targets[joint].max() > 0.5 else "no anchor: outside the crop"
