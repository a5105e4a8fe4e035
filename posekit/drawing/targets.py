"""Figure 3: what goes into anchor loss on a heatmap."""

from collections.abc import Sequence

import numpy as np

from posekit.drawing.maps import PICTURE, MapPanel, Scale, enlarged, joint_name, map_figure
from posekit.drawing.subject import Look


def target_figure(found: Look, joints: Sequence[int], *, gamma: float = 2.0):
    """The parts of anchor loss, a row for each joint: photograph, target, mask, prediction, modulator and loss.

    The circle of high confidence is outlined on target, mask and prediction.

    Parameters
    ----------
    found : Look
        What a model says about a person.
    joints : sequence of int
        Their places in the skeleton.
    gamma : float
        Focusing exponent.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If no joint is given.
    """
    maps, skeleton = found.explain(gamma), found.subject.skeleton
    parts = {name: getattr(maps, name)[0].numpy() for name in ("target", "mask", "circle", "probability", "modulator", "loss")}
    anchors = maps.anchor[0, :, 0, 0].numpy()
    panels = [
        panel
        for row, joint in enumerate(joints)
        for panel in _row(found, joint, {name: part[joint] for name, part in parts.items()}, anchors[joint], titled=row == 0)
    ]
    scales = [
        None,
        Scale("p", 1.0),
        Scale("M", 1.0, opaque=0.4),
        Scale("q", float(parts["probability"][joints].max(initial=0))),
        Scale("AL / BCE", float(parts["modulator"][joints].max(initial=0)), middle=1.0),
        Scale("AL", float(parts["loss"][joints].max(initial=0))),
    ]
    title = f"anchor loss, γ = {gamma:g}\n{found.subject.title}"
    return map_figure(
        panels, scales, rows=[joint_name(skeleton, joint) for joint in joints], title=title, truth=found.subject.truth
    )


def _row(found: Look, joint: int, part: dict[str, np.ndarray], anchor: float, *, titled: bool) -> list[MapPanel]:
    crop = found.subject.picture(PICTURE)
    truth, predicted = enlarged(found.truth[joint], found.size), enlarged(found.predicted[joint], found.size)
    circle = part["circle"]
    peak, factor = part["probability"].max(), part["modulator"][part["mask"]].max(initial=0)
    told = "no anchor" if np.isnan(anchor) else f"q* = {anchor:.2g}"
    panels = (
        ("photograph", None, "", {"truth": truth, "predicted": predicted}),
        ("target p", part["target"], f"p > 0.5: {circle.sum()} px", {"outline": circle}),
        ("mask M", part["mask"], f"p = 0: {part['mask'].sum():,} px", {"outline": circle}),
        ("prediction q", part["probability"], f"{told}, highest {peak:.2g}", {"outline": circle}),
        ("modulator", part["modulator"], f"highest {factor:.2g}", {}),
        ("loss", part["loss"], f"sum {part['loss'].sum():.2g}", {}),
    )
    return [MapPanel(crop, values, name if titled else "", caption, **marks) for name, values, caption, marks in panels]
