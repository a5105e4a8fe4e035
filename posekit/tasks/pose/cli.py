"""`posekit train`: train a pose model, evaluate it and draw its predictions."""

from collections.abc import Sequence
from functools import partial

from posekit.tasks import require_task
from posekit.tasks.pose.config import PoseConfig
from posekit.training.command import NOTES, TrainingCommand, run_training

_DESCRIPTION = f"""Train a pose model, evaluate it on the validation people, and draw its predictions.

  posekit train --config configs/quickstart.yaml
  posekit train --config configs/lspet/cpu_small.yaml --data.root DIR --train.epochs 5
  posekit train --resume --out runs/quickstart

Writes to the folder OUT:
  config.yaml; metrics.csv and tensorboard/ (one row per epoch); last/ (checkpoint to resume from);
  best.safetensors and final.safetensors; metrics.json and predictions.h5 (of the best weights); figures/

{NOTES.format(tool="tools/train.py")}"""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return the exit status."""
    require_own = partial(require_task, command="train")
    training = "posekit.tasks.pose.build:PoseTraining"
    return run_training(TrainingCommand(_DESCRIPTION, PoseConfig, require_own, training), argv, prog)
