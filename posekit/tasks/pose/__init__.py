"""Pose estimation: a stacked hourglass trained with heatmap losses."""
