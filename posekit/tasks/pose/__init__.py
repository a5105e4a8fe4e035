"""Pose estimation: a stacked hourglass under heatmap losses."""
