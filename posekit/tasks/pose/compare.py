"""Comparison of pose models, evaluated on the validation people."""

from collections.abc import Mapping
from pathlib import Path

from posekit.prediction.predictor import Predictor
from posekit.scoring.analysis import analysis_numbers
from posekit.scoring.io.files import read_predictions, write_predictions
from posekit.scoring.repeats import MEAN, Evaluation, PoseRepeats
from posekit.scoring.score import Scores, score
from posekit.tasks.pose.build import PoseTraining
from posekit.tasks.pose.config import PoseConfig
from posekit.training.build import count_parameters

_PREDICTIONS = "predictions.h5"


class Comparison:
    """Comparison of pose models (implements `posekit.lab.compare.plan.Comparison`)."""

    open = PoseTraining
    same_data = ("valid",)
    metric_column = "pck"
    kept = ("metric", "n_persons", "groups", "pooled_mean", "joint_mean", "auc", "analysis")
    resampled = "persons"

    def __init__(self, training: PoseTraining):
        self.people = training.valid
        self.summary = (
            f"training: {len(training.train):,} people; evaluation: {len(self.people):,} people of "
            f"{self.people.name} {self.people.split}"
        )

    @staticmethod
    def results_folder(decode: str) -> str:
        """Return the name of the results folder, one for each decoding method."""
        return f"final-{decode}"

    def evaluate(self, config: PoseConfig, weights: Path, results: Path, decode: str) -> Evaluation:
        """Predict the validation people and compute the scores."""
        predictor = Predictor(weights, device=config.train.device, decode=decode, backend="torch")
        predictions = predictor.predict_people(self.people)
        write_predictions(results / _PREDICTIONS, predictions)
        scores = score(self.people, predictions)
        assert predictor.model is not None  # the PyTorch backend always has a model
        sections = {"analysis": analysis_numbers(scores)}
        return Evaluation(scores, count_parameters(predictor.model), predictor.choices, sections)

    def repeats(self, results: Mapping[int, Path]) -> PoseRepeats:
        """Compute the scores of the stored predictions, by seed."""
        scores = {}
        for seed, folder in results.items():
            predictions = read_predictions(folder / _PREDICTIONS, people=self.people)
            scores[seed] = score(self.people, predictions)
        return PoseRepeats(scores)

    def figures(self, metrics: Mapping) -> dict[str, float]:
        """Return the PCK of each joint group, and of all joints pooled as "mean"."""
        figures = {name.lower(): value for name, value in metrics["groups"].items()}
        return {**figures, "mean": metrics["pooled_mean"]}

    def caption(self, config: PoseConfig, decode: str, models: Mapping[str, PoseRepeats]) -> str:
        """Return the caption of the table of scores."""
        scores = _first_scores(models)
        return (
            f"{scores.metric} in percent for {scores.n_persons:,} people ({self.people.name} {self.people.split}), weights of "
            f"the last epoch, decoding {decode}; mean ± standard deviation over the seeds. Inversions: joints predicted within "
            "the threshold of the opposite joint, but not of the true joint. Double: heatmaps with a second peak at least half "
            "as high as the first."
        )

    def groups(self, models: Mapping[str, PoseRepeats]) -> list[str]:
        """Return the names of the joint groups and of the mean."""
        return [*_first_scores(models).groups, MEAN]

    def metric(self, models: Mapping[str, PoseRepeats]) -> str:
        """Return the name of the metric, for example PCKh@0.5."""
        return _first_scores(models).metric


def _first_scores(models: Mapping[str, PoseRepeats]) -> Scores:
    repeats = next(iter(models.values()))
    return next(iter(repeats.scores.values()))
