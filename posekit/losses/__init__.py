"""Loss functions for heatmaps and classification; they depend only on torch."""

from posekit.losses.classification import BCE, OHEM, AnchorLoss, ClassificationLoss, CrossEntropy, FocalLoss
from posekit.losses.heatmap import OHKM, HeatmapAnchorLoss, HeatmapBCE, HeatmapFocalLoss, HeatmapLoss, HeatmapMSE

__all__ = [
    "BCE",
    "OHEM",
    "OHKM",
    "AnchorLoss",
    "ClassificationLoss",
    "CrossEntropy",
    "FocalLoss",
    "HeatmapAnchorLoss",
    "HeatmapBCE",
    "HeatmapFocalLoss",
    "HeatmapLoss",
    "HeatmapMSE",
]
