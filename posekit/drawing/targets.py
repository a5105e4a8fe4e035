"""Figure 3: the parts of the anchor loss formula, drawn as maps over the crop."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from posekit.drawing.maps import CROP_SIZE, MapPanel, Scale, enlarged, exponent_name, factor_scale, joint_name, map_figure
from posekit.drawing.person_view import ModelOutput, missing_anchor
from posekit.losses.explain import AnchorMaps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TITLES = ("image", "target p", "mask M", "prediction q", "modulator", "loss")


def target_figure(output: ModelOutput, joints: Sequence[int], *, gamma: float = 2.0, model: str = "") -> "Figure":
    """Draw the parts of anchor loss in one row per joint: image, target, mask, prediction, modulator and loss.

    The circle of high confidence (target > 0.5) is outlined on target, mask and prediction.

    Parameters
    ----------
    output : ModelOutput
        Output of a model for one person.
    joints : sequence of int
        Indices of the joints to draw.
    gamma : float
        Focusing exponent.
    model : str
        Name of the model, for the title.

    Raises
    ------
    ValueError
        If no joint is given.
    """
    view = output.view
    maps = output.explain(gamma)
    panels = []
    for joint in joints:
        panels += _joint_panels(output, maps, joint)
    panels[: len(_TITLES)] = [replace(panel, title=title) for panel, title in zip(panels, _TITLES, strict=False)]
    scales = [
        None,
        Scale("p", 1.0),
        Scale("M", 1.0, opaque=0.4),
        Scale("q", float(maps.probability[0, joints].numpy().max(initial=0))),
        factor_scale(maps.modulator[0, joints].numpy()),
        Scale("AL", float(maps.loss[0, joints].numpy().max(initial=0))),
    ]
    title = f"anchor loss, {exponent_name(gamma)}\n{view.title}"
    if model:
        title = f"{model}: {title}"
    return map_figure(panels, scales, rows=[joint_name(view.skeleton, joint) for joint in joints], title=title, truth=view.truth)


def _joint_panels(output: ModelOutput, maps: AnchorMaps, joint: int) -> list[MapPanel]:
    crop = output.view.cropped(CROP_SIZE)
    image = MapPanel(
        crop,
        caption=" ",
        truth=enlarged(output.truth[joint], output.size),
        predicted=enlarged(output.predicted[joint], output.size),
    )
    target = maps.target[0, joint].numpy()
    mask = maps.mask[0, joint].numpy()
    circle = maps.circle[0, joint].numpy()
    probability = maps.probability[0, joint].numpy()
    modulator = maps.modulator[0, joint].numpy()
    loss = maps.loss[0, joint].numpy()
    anchor = f"q* {maps.anchor[0, joint].item():.2g}, max {probability.max():.2g}"
    prediction = MapPanel(crop, probability, caption=missing_anchor(output, joint) or anchor, outline=circle)
    if not output.view.known[joint]:  # the training loss ignores joints without a known location
        nothing = MapPanel(crop, np.full_like(target, np.nan), caption=" ")
        return [image, nothing, nothing, prediction, nothing, nothing]
    return [
        image,
        MapPanel(crop, target, caption=f"p > 0.5: {circle.sum()} px", outline=circle),
        MapPanel(crop, mask, caption=f"p = 0: {mask.sum():,} px", outline=circle),
        prediction,
        MapPanel(crop, modulator, caption=f"max {modulator[mask].max(initial=0):.4g}"),
        MapPanel(crop, loss, caption=f"sum {loss.sum():.2g}"),
    ]
