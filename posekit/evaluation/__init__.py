"""From predictions to metrics."""

from posekit.evaluation.compare import Comparison
from posekit.evaluation.mean_pose import mean_pose
from posekit.evaluation.metrics_file import write_metrics
from posekit.evaluation.score import Scores, score

__all__ = ["Comparison", "Scores", "mean_pose", "score", "write_metrics"]
