"""All heatmaps of one person at a glance."""

from collections.abc import Sequence

from posekit.drawing.maps import PICTURE, MapPanel, Scale, enlarged, joint_name, map_figure
from posekit.drawing.person_view import ModelOutput

_ACROSS = 5


def heatmap_figure(found: ModelOutput, joints: Sequence[int] | None = None, *, model: str = ""):
    """The heatmaps over the crop as a contact sheet, all in the same colours.

    Parameters
    ----------
    found : ModelOutput
        What a model says about a person.
    joints : sequence of int, optional
        Their places in the skeleton; all by default.
    model : str
        Its name, for the title.

    Returns
    -------
    matplotlib.figure.Figure
    """
    joints = list(range(len(found.maps))) if joints is None else joints
    crop = found.view.picture(PICTURE)
    panels = [
        MapPanel(
            crop,
            found.maps[joint],
            title=joint_name(found.view.skeleton, joint),
            caption=f"peak {found.scores[joint]:.2f}",
            truth=enlarged(found.truth[joint], found.size),
            predicted=enlarged(found.predicted[joint], found.size),
        )
        for joint in joints
    ]
    scale = Scale("heatmap", max(0.0, float(found.maps[joints].max())))
    title = f"{model}{': ' if model else ''}heatmaps\n{found.view.title}"
    return map_figure(panels, scale, columns=min(_ACROSS, len(panels)), title=title, truth=found.view.truth)
