"""Pose models that are compared."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from posekit.cli.compare.kind import Evaluated
from posekit.cli.compare.run import Run
from posekit.cli.train import PoseTraining
from posekit.evaluation import Scores, score
from posekit.evaluation.analysis import analysis_numbers
from posekit.evaluation.repeats import MEAN, PoseRepeats
from posekit.inference.predictor import Predictor
from posekit.predictions import read_predictions, write_predictions

_FILE = "predictions.h5"


class PosesCompared:
    """Pose models, scored on the validation people (a `posekit.cli.compare.kind.Kind`)."""

    open = PoseTraining
    same = ("valid",)
    followed = "pck"
    kept = ("metric", "n_persons", "groups", "pooled_mean", "joint_mean", "auc", "analysis")
    drawn = "persons"

    def __init__(self, training: PoseTraining):
        self.people = training.valid
        self.described = (
            f"{len(training.train):,} people to train, {len(self.people):,} of {self.people.name} {self.people.split} to score"
        )

    def evaluate(self, run: Run, weights: Path) -> Evaluated:
        """Predict and score."""
        predictor = Predictor(weights, device=run.config.train.device, decode=run.decode, backend="torch")
        predictions = predictor.predict_people(self.people)
        write_predictions(run.results / _FILE, predictions)
        scores = score(self.people, predictions)
        parameters = sum(parameter.numel() for parameter in predictor.model.parameters())
        return Evaluated(scores, parameters, predictor.choices, {"analysis": analysis_numbers(scores)})

    def repeats(self, runs: Sequence[Run]) -> PoseRepeats:
        """Scored anew from what was predicted."""
        files = {run.seed: run.results / _FILE for run in runs}
        return PoseRepeats({seed: score(self.people, read_predictions(path, people=self.people)) for seed, path in files.items()})

    def figures(self, found: Mapping) -> dict[str, float]:
        """PCK of the groups, and the pooled mean."""
        return {**{name.lower(): value for name, value in found["groups"].items()}, "mean": found["pooled_mean"]}

    def caption(self, run: Run, models: Mapping[str, PoseRepeats]) -> str:
        """What the table's numbers are."""
        any_one = _any_scores(models)
        return (
            f"{any_one.metric} in percent of {any_one.n_persons:,} persons ({self.people.name} {self.people.split}), last epoch's "
            f"weights, decoding {run.decode}; mean ± standard deviation over the seeds. Inversions: joints within the threshold of "
            "the opposite joint and not of their own. Double: maps with another peak at least half as high."
        )

    def groups(self, models: Mapping[str, PoseRepeats]) -> list[str]:
        """Those of the skeleton, and the mean."""
        return [*_any_scores(models).groups, MEAN]

    def metric(self, models: Mapping[str, PoseRepeats]) -> str:
        """E.g. PCKh@0.5."""
        return _any_scores(models).metric


def _any_scores(models: Mapping[str, PoseRepeats]) -> Scores:
    return next(iter(next(iter(models.values())).scores.values()))
