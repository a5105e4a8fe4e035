"""`posekit train-classifier`: train a classifier, evaluate it on the test images, and draw misclassified images."""

from collections.abc import Sequence
from functools import partial

from posekit.tasks import require_task
from posekit.tasks.classifier.config import ClassifierConfig
from posekit.training.command import NOTES, TrainingCommand, run_training

_DESCRIPTION = f"""Train a classifier, evaluate it on the test images, and draw misclassified images.

  posekit train-classifier --config configs/cifar/cpu_small.yaml --data.root DIR
  posekit train-classifier --config configs/cifar/resnet110_anchor.yaml --data.root DIR --loss.name bce
  posekit train-classifier --resume --out runs/cifar-cpu_small

Writes to the folder OUT:
  config.yaml; metrics.csv and tensorboard/ (one row per epoch); last/ (checkpoint to resume from);
  best.safetensors and final.safetensors; metrics.json and predictions.csv (best weights, test images); figures/

{NOTES.format(tool="tools/train_classifier.py")}"""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return the exit status."""
    require_own = partial(require_task, command="train-classifier")
    training = "posekit.tasks.classifier.build:ClassifierTraining"
    return run_training(TrainingCommand(_DESCRIPTION, ClassifierConfig, require_own, training), argv, prog)
