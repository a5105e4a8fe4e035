"""From predictions to metrics."""

from posekit.evaluation.compare import Comparison
from posekit.evaluation.score import Scores, mean_pose, score, write_metrics

__all__ = ["Comparison", "Scores", "mean_pose", "score", "write_metrics"]
