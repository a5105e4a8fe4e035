"""Figure 3: what goes into anchor loss on a heatmap."""

from collections.abc import Sequence

import numpy as np

from posekit.drawing.maps import PICTURE, MapPanel, Scale, enlarged, exponent_name, factor_scale, joint_name, map_figure
from posekit.drawing.person_view import ModelOutput, no_anchor


def target_figure(found: ModelOutput, joints: Sequence[int], *, gamma: float = 2.0, model: str = ""):
    """The parts of anchor loss, a row for each joint: photograph, target, mask, prediction, modulator and loss.

    The circle of high confidence is outlined on target, mask and prediction.

    Parameters
    ----------
    found : ModelOutput
        What a model says about a person.
    joints : sequence of int
        Their places in the skeleton.
    gamma : float
        Focusing exponent.
    model : str
        Its name, for the title.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If no joint is given.
    """
    maps, skeleton = found.explain(gamma), found.view.skeleton
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
        factor_scale(parts["modulator"][joints]),
        Scale("AL", float(parts["loss"][joints].max(initial=0))),
    ]
    title = f"{model}{': ' if model else ''}anchor loss, {exponent_name(gamma)}\n{found.view.title}"
    return map_figure(panels, scales, rows=[joint_name(skeleton, joint) for joint in joints], title=title, truth=found.view.truth)


def _row(found: ModelOutput, joint: int, part: dict[str, np.ndarray], anchor: float, *, titled: bool) -> list[MapPanel]:
    crop, circle, lacking = found.view.picture(PICTURE), part["circle"], no_anchor(found, joint)
    truth, predicted = enlarged(found.truth[joint], found.size), enlarged(found.predicted[joint], found.size)
    found_q = lacking or f"q* {anchor:.2g}, max {part['probability'].max():.2g}"
    factor = part["modulator"][part["mask"]].max(initial=0)
    panels = {
        "photograph": (None, " ", {"truth": truth, "predicted": predicted}),
        "target p": (part["target"], f"p > 0.5: {circle.sum()} px", {"outline": circle}),
        "mask M": (part["mask"], f"p = 0: {part['mask'].sum():,} px", {"outline": circle}),
        "prediction q": (part["probability"], found_q, {"outline": circle}),
        "modulator": (part["modulator"], f"max {factor:.4g}", {}),
        "loss": (part["loss"], f"sum {part['loss'].sum():.2g}", {}),
    }
    if not found.view.known[joint]:  # training does not count it
        panels |= {name: (np.full_like(part["target"], np.nan), " ", {}) for name in ("target p", "mask M", "modulator", "loss")}
    return [MapPanel(crop, values, name if titled else "", caption, **marks) for name, (values, caption, marks) in panels.items()]
