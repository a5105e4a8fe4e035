"""Comparison of pose models, scored on the validation people."""

from collections.abc import Mapping
from pathlib import Path

from posekit.prediction.predictor import Predictor
from posekit.scoring.analysis import analysis_numbers
from posekit.scoring.io.files import read_predictions, write_predictions
from posekit.scoring.repeats import MEAN, Evaluation, PoseRepeats
from posekit.scoring.score import Scores, score
from posekit.tasks.pose.config import PoseConfig
from posekit.tasks.pose.training import PoseTraining

_FILE = "predictions.h5"


class Comparison:
    """Comparison of pose models (a `posekit.lab.compare.comparison.Comparison`)."""

    config_class = PoseConfig
    open = PoseTraining
    same_data = ("valid",)
    metric_column = "pck"
    kept = ("metric", "n_persons", "groups", "pooled_mean", "joint_mean", "auc", "analysis")
    resampled = "persons"

    def __init__(self, training: PoseTraining):
        self.people = training.valid
        self.summary = (
            f"{len(training.train):,} people to train, {len(self.people):,} of {self.people.name} {self.people.split} to score"
        )

    @staticmethod
    def results_folder(decode: str) -> str:
        """The same weights may be scored with several decodings."""
        return f"final-{decode}"

    def evaluate(self, config: PoseConfig, weights: Path, results: Path, decode: str) -> Evaluation:
        """Predict and score the validation people."""
        predictor = Predictor(weights, device=config.train.device, decode=decode, backend="torch")
        predictions = predictor.predict_people(self.people)
        write_predictions(results / _FILE, predictions)
        scores = score(self.people, predictions)
        parameters = sum(parameter.numel() for parameter in predictor.model.parameters())
        return Evaluation(scores, parameters, predictor.choices, {"analysis": analysis_numbers(scores)})

    def repeats(self, results: Mapping[int, Path]) -> PoseRepeats:
        """Score the stored predictions again."""
        files = {seed: folder / _FILE for seed, folder in results.items()}
        return PoseRepeats({seed: score(self.people, read_predictions(path, people=self.people)) for seed, path in files.items()})

    def figures(self, metrics: Mapping) -> dict[str, float]:
        """PCK of the joint groups, and the pooled mean."""
        return {**{name.lower(): value for name, value in metrics["groups"].items()}, "mean": metrics["pooled_mean"]}

    def caption(self, config: PoseConfig, decode: str, models: Mapping[str, PoseRepeats]) -> str:
        """Caption of the table of scores."""
        scores = _any_scores(models)
        return (
            f"{scores.metric} in percent of {scores.n_persons:,} persons ({self.people.name} {self.people.split}), last epoch's "
            f"weights, decoding {decode}; mean ± standard deviation over the seeds. Inversions: joints within the threshold of "
            "the opposite joint and not of their own. Double: maps with another peak at least half as high."
        )

    def groups(self, models: Mapping[str, PoseRepeats]) -> list[str]:
        """The skeleton's joint groups, and the mean."""
        return [*_any_scores(models).groups, MEAN]

    def metric(self, models: Mapping[str, PoseRepeats]) -> str:
        """For example PCKh@0.5."""
        return _any_scores(models).metric


def _any_scores(models: Mapping[str, PoseRepeats]) -> Scores:
    repeats = next(iter(models.values()))
    return next(iter(repeats.scores.values()))
