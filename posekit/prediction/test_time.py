"""Test-time augmentation: heatmaps averaged over several views of one person."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from posekit.errors import ConfigError


@dataclass(frozen=True)
class TestTimeAugmentation:
    """Views of each person; the heatmaps of all views are averaged. By default, the unscaled, unmirrored crop is the only view.

    Parameters
    ----------
    scales : tuple of float
        Factors for the side of the person's box; each factor gives one view.
    flip : bool
        Whether to add the mirror image of each view.

    Raises
    ------
    ConfigError
        If `scales` is empty or contains a scale outside 0.1 … 10.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False

    def __post_init__(self):
        if not self.scales or not all(0.1 <= scale <= 10 for scale in self.scales):
            raise ConfigError(f"scales {list(self.scales)}: expected one or more factors from 0.1 to 10")

    def __len__(self):
        return len(self.scales) * (1 + self.flip)

    @property
    def key(self) -> str:
        """Key of the calibration for these views in a weights file: "1", "1 mirrored", …"""
        names = [f"{scale:g}" for scale in self.scales]
        if self.flip:
            names.append("mirrored")
        return " ".join(names)

    def __str__(self):
        scales = ", ".join(f"{scale:g}" for scale in self.scales)
        mirror = ", each also mirrored" if self.flip else ""
        average = "; the average of their heatmaps in the frame of scale 1" if len(self) > 1 else ""
        return f"{len(self)}: the box's side times {scales}{mirror}{average}"


PLAIN = TestTimeAugmentation()
# The paper's views: a six-scale pyramid with flipping.
PYRAMID = TestTimeAugmentation((0.8, 0.9, 1.0, 1.1, 1.2, 1.3), flip=True)


def averaged_maps(
    predict: Callable[[Tensor], Tensor], images_NSSC: Tensor, views: TestTimeAugmentation, flip_order: Tensor
) -> Tensor:
    """Average each person's heatmaps over the views; all views go through the model in one batch.

    Parameters
    ----------
    predict : callable
        The model: (N, S, S, 3) crops -> (N, K, H, W) activated heatmaps.
    images_NSSC : (B V, S, S, 3)
        Crops of B people; the crops of one person at the V scales are consecutive.
    views : TestTimeAugmentation
    flip_order : (K,) int64
        `Skeleton.flip_order`, on the device of the heatmaps.

    Returns
    -------
    (B, K, H, W) heatmaps in the frame of the crop at scale 1. A view with a smaller scale contributes 0 outside its crop.
    """
    if views.flip:
        count = len(images_NSSC)
        maps = predict(torch.cat([images_NSSC, images_NSSC.flip(2)]))
        maps = (maps[:count] + maps[count:].flip(-1)[:, flip_order]) / 2
    else:
        maps = predict(images_NSSC)
    maps_BVKHW = maps.unflatten(0, (-1, len(views.scales)))
    total = torch.zeros_like(maps_BVKHW[:, 0])
    for view, scale in enumerate(views.scales):
        total += _resample(maps_BVKHW[:, view], scale)
    return total / len(views.scales)


def _resample(maps: Tensor, scale: float) -> Tensor:
    """Resample the heatmaps of the crop at `scale` to the frame of the crop at scale 1, which has the same centre."""
    if scale == 1:
        return maps
    matrix = torch.tensor([[1 / scale, 0, 0], [0, 1 / scale, 0]], device=maps.device, dtype=maps.dtype)
    grid = F.affine_grid(matrix.expand(len(maps), 2, 3), list(maps.shape), align_corners=False)
    return F.grid_sample(maps, grid, align_corners=False)
