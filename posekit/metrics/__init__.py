"""Metrics: pure functions, arrays in, results out."""

from posekit.metrics.pck import PCK, pck, pckh, torso_sizes

__all__ = ["PCK", "pck", "pckh", "torso_sizes"]
