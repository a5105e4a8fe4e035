"""All heatmaps of one person at a glance."""

from posekit.drawing.maps import PICTURE, MapPanel, Scale, enlarged, joint_name, map_figure
from posekit.drawing.subject import Look

_ACROSS = 5


def heatmap_figure(found: Look, joints: list[int] | None = None):
    """The heatmaps over the crop as a contact sheet, all in the same colours.

    Parameters
    ----------
    found : Look
        What a model says about a person.
    joints : list of int, optional
        Their places in the skeleton; all by default.

    Returns
    -------
    matplotlib.figure.Figure
    """
    joints = list(range(len(found.maps))) if joints is None else joints
    crop, known = found.subject.picture(PICTURE), found.subject.known.any()
    panels = [
        MapPanel(
            crop,
            found.maps[joint],
            title=joint_name(found.subject.skeleton, joint),
            caption=f"peak {found.scores[joint]:.2f}",
            truth=enlarged(found.truth[joint], found.size) if known else None,
            predicted=enlarged(found.predicted[joint], found.size),
        )
        for joint in joints
    ]
    scale = Scale("heatmap", float(found.maps[joints].max()))
    title = f"heatmaps\n{found.subject.title}"
    return map_figure(panels, scale, columns=min(_ACROSS, len(panels)), title=title, truth=found.subject.truth)
