"""Pictures of poses: overlays and sheets."""

from posekit.drawing.pose import contact_sheet, draw_comparison, draw_pose, prediction_sheet

__all__ = ["contact_sheet", "draw_comparison", "draw_pose", "prediction_sheet"]
