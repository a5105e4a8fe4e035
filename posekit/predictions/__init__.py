"""Prediction files: posekit's own, and those in use elsewhere, which are read or written beside it."""

from posekit.predictions.data import Predictions
from posekit.predictions.files import read_predictions, require_writable_kind, stated_base, write_predictions

__all__ = ["Predictions", "read_predictions", "require_writable_kind", "stated_base", "write_predictions"]
