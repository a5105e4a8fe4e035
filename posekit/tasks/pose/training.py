"""One training run of a pose model: its data, its engine, what is written at the end."""

from pathlib import Path

import numpy as np
from accelerate import Accelerator

from posekit.drawing.pose import prediction_sheet
from posekit.drawing.training import training_curves
from posekit.errors import DataError
from posekit.files import writable_folder
from posekit.geometry import Crop
from posekit.images import write_image
from posekit.people import People
from posekit.prediction.predictor import Predictor
from posekit.scoring.io.files import write_predictions
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.mean_pose import mean_pose
from posekit.scoring.metrics_file import write_metrics
from posekit.scoring.score import Scores, score
from posekit.tasks.pose.build import build_engine, build_people
from posekit.tasks.pose.config import PoseConfig
from posekit.training.engine import Engine
from posekit.training.log import read_run

_DRAWN = 32


class PoseTraining:
    """A pose model's training (a `posekit.training.command.Training`)."""

    def __init__(self, config: PoseConfig):
        self.config = config
        self.train, self.valid = build_people(config.data)
        self.yardstick = _mean_pose_scores(self.train, self.valid)

    def build_engine(self, *, out: Path, accelerator: Accelerator, resume: bool) -> Engine:
        """As `posekit.tasks.pose.build.build_engine`."""
        return build_engine(self.config, self.train, self.valid, out=out, accelerator=accelerator, resume=resume)

    def summary(self, engine: Engine) -> str:
        """What is trained on, what the network is, and what it has to beat."""
        parameters = sum(parameter.numel() for parameter in engine.plain_model.parameters())
        model, loss, yardstick = self.config.model, self.config.loss, self.yardstick
        network = f"{model.stacks} stack(s) of {model.features} features" + f" on {model.encoder}" * bool(model.encoder)
        return (
            f"train: {_described(self.train)}\n"
            f"valid: {_described(self.valid)}; {yardstick.n_persons:,} can be scored{_trained_on(self.train, self.valid)}\n"
            f"model: {network}, {parameters / 1e6:.2f} M parameters, "
            f"{model.input_size} px; loss: {loss.name}; device: {engine.accelerator.device}\n"
            f"to beat: the mean pose has {yardstick.metric} {yardstick.pooled_mean:.2f}"
        )

    def finish(self, out: Path, engine: Engine) -> None:
        """Score and draw what the best weights predict."""
        valid, yardstick = self.valid, self.yardstick
        weights = out / "best.safetensors"
        predictor = Predictor(weights, device=str(engine.accelerator.device), decode="quarter")
        predictions = predictor.predict_people(valid)
        scores = score(valid, predictions)
        write_predictions(out / "predictions.h5", predictions)
        choices = {**predictor.choices, "mean_pose_pooled_mean": yardstick.pooled_mean}
        write_metrics(out, scores, weights=str(weights), choices=choices)
        figures = writable_folder(out / "figures")
        training_curves({out.name: read_run(out)}).savefig(figures / "training.png")
        write_image(figures / "validation.png", _drawn(valid, predictions, scores, predictor.info.input_size))
        print(f"\n{scores.table()}\n(the mean pose: {yardstick.pooled_mean:.2f})\n\nweights:  {weights}\npictures: {figures}")


def _mean_pose_scores(train: People, valid: People) -> Scores:
    scores = score(valid, mean_pose(train, valid))
    if not scores.n_persons:
        raise DataError(
            f"{valid.name} {valid.split}: nobody has a {scores.reference}, so PCK cannot be told; choose another data.valid"
        )
    return scores


def _described(people: People) -> str:
    left_out = "".join(f"; {count:,} left out: {reason}" for reason, count in people.left_out.items())
    return f"{len(people):,} people of {people.name} {people.split}{left_out}"


def _trained_on(train: People, valid: People) -> str:
    """A warning where validation tells nothing of people who are new to the model."""
    shared = np.isin(valid.image_paths, train.image_paths).sum()
    told = f"\n       look: the photographs of {shared:,} people are trained on too, so their scores will be too good"
    return told if shared else ""


def _drawn(people: People, predictions: Predictions, scores: Scores, size: int) -> np.ndarray:
    """Some validation people, drawn at random: prediction beside truth."""
    scored = np.flatnonzero(np.isfinite(predictions.joints).all((1, 2)) & ~scores.pck.left_out)
    chosen = np.random.default_rng(0).permutation(scored)[:_DRAWN]
    crops = [Crop(people[i].box, size) for i in chosen]
    predicted = np.array([crop.forward(predictions.joints[i]) for crop, i in zip(crops, chosen, strict=True)])
    return prediction_sheet(
        [people[i].cut(crop) for crop, i in zip(crops, chosen, strict=True)],
        {"prediction": (predicted, scores.pck.correct[chosen])},
        np.array([crop.forward(people.joints[i]) for crop, i in zip(crops, chosen, strict=True)]),
        people.labelled[chosen],
        people.skeleton,
    )
