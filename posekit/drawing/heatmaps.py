"""Draw all heatmaps of one person in one figure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from posekit.drawing.maps import CROP_SIZE, MapPanel, Scale, enlarged, joint_name, map_figure
from posekit.drawing.person_view import ModelOutput

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_COLUMNS = 5


def heatmap_figure(output: ModelOutput, joints: Sequence[int] | None = None, *, model: str = "") -> "Figure":
    """Draw each joint's heatmap over the crop, as a grid of panels with one shared colour scale.

    Parameters
    ----------
    output : ModelOutput
        Output of a model for one person.
    joints : sequence of int, optional
        Indices of the joints to draw; all by default.
    model : str
        Name of the model, for the title.
    """
    joints = list(range(len(output.maps))) if joints is None else joints
    view = output.view
    crop = view.cropped(CROP_SIZE)
    panels = []
    for joint in joints:
        panel = MapPanel(
            crop,
            output.maps[joint],
            title=joint_name(view.skeleton, joint),
            caption=f"peak {output.scores[joint]:.2f}",
            truth=enlarged(output.truth[joint], output.size),
            predicted=enlarged(output.predicted[joint], output.size),
        )
        panels.append(panel)
    scale = Scale("heatmap", max(0.0, float(output.maps[joints].max())))
    title = f"{model}: heatmaps" if model else "heatmaps"
    return map_figure(panels, scale, columns=min(_MAX_COLUMNS, len(panels)), title=f"{title}\n{view.title}", truth=view.truth)
