"""`posekit train-detector`: train a network that finds people in whole images, and draw the boxes found."""

from collections.abc import Sequence
from functools import partial

from posekit.tasks import require_task
from posekit.tasks.person_finder.config import DetectorConfig
from posekit.training.command import NOTES, TrainingCommand, run_training

_DESCRIPTION = f"""Train a network that finds people in whole images. The training scenes are composed of images of single people.

  posekit train-detector --config configs/lspet/people.yaml --data.root DIR
  posekit train-detector --resume --out runs/lspet-people

Writes to the folder OUT:
  config.yaml; metrics.csv and tensorboard/ (one row per epoch); last/ (checkpoint to resume from);
  best.safetensors and final.safetensors; figures/ (training curves, boxes found in validation scenes)

{NOTES.format(tool="tools/train_detector.py")}"""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return the exit status."""
    require_own = partial(require_task, command="train-detector")
    training = "posekit.tasks.person_finder.build:DetectorTraining"
    return run_training(TrainingCommand(_DESCRIPTION, DetectorConfig, require_own, training), argv, prog)
