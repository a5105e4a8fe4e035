"""From predictions to metrics."""

from posekit.evaluation.score import Scores, mean_pose, score, write_metrics

__all__ = ["Scores", "mean_pose", "score", "write_metrics"]
