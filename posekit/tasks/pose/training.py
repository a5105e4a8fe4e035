"""Training run of a pose model: data, engine and results."""

from pathlib import Path

import numpy as np
from accelerate import Accelerator

from posekit.drawing.pose import prediction_sheet
from posekit.errors import DataError
from posekit.geometry import Crop
from posekit.images import write_image
from posekit.people import People
from posekit.prediction.predictor import Predictor
from posekit.scoring.io.files import write_predictions
from posekit.scoring.io.predictions import Predictions, mean_pose
from posekit.scoring.metrics_file import write_metrics
from posekit.scoring.score import Scores, score
from posekit.tasks.pose.build import build_engine, build_people
from posekit.tasks.pose.config import PoseConfig
from posekit.training.build import count_parameters
from posekit.training.engine import Engine
from posekit.training.log import draw_run

_DRAWN_PEOPLE = 32


class PoseTraining:
    """Training run of a pose model (implements `posekit.training.command.Training`)."""

    def __init__(self, config: PoseConfig):
        self.config = config
        self.train, self.valid = build_people(config.data)
        self.baseline = _score_mean_pose(self.train, self.valid)

    def build_engine(self, *, out: Path, accelerator: Accelerator, resume: bool) -> Engine:
        """Build the engine, see `posekit.tasks.pose.build.build_engine`."""
        return build_engine(self.config, self.train, self.valid, out=out, accelerator=accelerator, resume=resume)

    def summary(self, engine: Engine) -> str:
        """Describe the data and the network, with the score of the mean pose as a baseline."""
        model = self.config.model
        baseline = self.baseline
        network = f"{model.stacks} stack(s) with {model.features} features"
        if model.encoder:
            network += f" and backbone {model.encoder}"
        return (
            f"train: {_describe_people(self.train)}\n"
            f"valid: {_describe_people(self.valid)}; {baseline.n_persons:,} can be evaluated{self._overlap_warning()}\n"
            f"model: {network}, {count_parameters(engine.plain_model) / 1e6:.2f} M parameters, "
            f"{model.input_size} px; loss: {self.config.loss.name}; device: {engine.accelerator.device}\n"
            f"baseline: {baseline.metric} {baseline.pooled_mean:.2f} % for predicting the mean pose"
        )

    def finish(self, out: Path, engine: Engine) -> None:
        """Evaluate the best weights and draw the predictions."""
        weights = out / "best.safetensors"
        predictor = Predictor(weights, device=str(engine.accelerator.device), decode="quarter")
        predictions = predictor.predict_people(self.valid)
        scores = score(self.valid, predictions)
        write_predictions(out / "predictions.h5", predictions)
        mean_pose_score = self.baseline.pooled_mean
        choices = {**predictor.choices, "mean_pose_pooled_mean": mean_pose_score}
        write_metrics(out, scores, weights=str(weights), choices=choices)
        figures = draw_run(out)
        write_image(figures / "validation.png", _draw_people(self.valid, predictions, scores, predictor.info.input_size))
        print(f"\n{scores.table()}\n(baseline, mean pose: {mean_pose_score:.2f})\n\nweights: {weights}\nfigures: {figures}")

    def _overlap_warning(self) -> str:
        """Return a warning if training and validation share images, else an empty string."""
        shared = np.isin(self.valid.image_paths, self.train.image_paths).sum()
        if not shared:
            return ""
        return f"\n       warning: {shared:,} validation people are in training images, so the scores will be too high"


def _score_mean_pose(train: People, valid: People) -> Scores:
    scores = score(valid, mean_pose(train, valid))
    if not scores.n_persons:
        raise DataError(
            f"{valid.name} {valid.split}: no person has a {scores.reference}, which PCK needs; choose another data.valid"
        )
    return scores


def _describe_people(people: People) -> str:
    text = f"{len(people):,} people of {people.name} {people.split}"
    for reason, count in people.left_out.items():
        text += f"; {count:,} left out: {reason}"
    return text


def _draw_people(people: People, predictions: Predictions, scores: Scores, size: int) -> np.ndarray:
    """Draw the predictions and annotations of randomly chosen validation people side by side."""
    scored = np.flatnonzero(np.isfinite(predictions.joints).all((1, 2)) & ~scores.pck.left_out)
    chosen = np.random.default_rng(0).permutation(scored)[:_DRAWN_PEOPLE]
    images = []
    predicted = []
    annotated = []
    for index in chosen:
        person = people[index]
        crop = Crop(person.box, size)
        images.append(person.cut(crop))
        predicted.append(crop.forward(predictions.joints[index]))
        annotated.append(crop.forward(person.joints))
    return prediction_sheet(
        images,
        {"prediction": (np.array(predicted), scores.pck.correct[chosen])},
        np.array(annotated),
        people.labelled[chosen],
        people.skeleton,
    )
