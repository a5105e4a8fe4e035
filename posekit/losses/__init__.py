"""Losses. They need nothing but torch."""

from posekit.losses.heatmap import OHKM, HeatmapAnchorLoss, HeatmapBCE, HeatmapFocalLoss, HeatmapLoss, HeatmapMSE

__all__ = ["OHKM", "HeatmapAnchorLoss", "HeatmapBCE", "HeatmapFocalLoss", "HeatmapLoss", "HeatmapMSE"]
