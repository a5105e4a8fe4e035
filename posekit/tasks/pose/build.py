"""Build the data, loss, model and engine of a pose model's training run, and evaluate its result."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from accelerate import Accelerator

from posekit import heatmaps, losses
from posekit.data.crops import CropDataset, collate
from posekit.drawing.pose import prediction_sheet
from posekit.errors import DataError
from posekit.geometry import Crop
from posekit.images import write_image
from posekit.losses import HeatmapLoss
from posekit.models import ModelInfo, normalise
from posekit.people import People
from posekit.prediction.predictor import Predictor
from posekit.scoring.io.files import write_predictions
from posekit.scoring.io.predictions import Predictions, mean_pose
from posekit.scoring.metrics_file import write_metrics
from posekit.scoring.score import Scores, score
from posekit.skeletons import Skeleton
from posekit.synthetic.write import write_synthetic
from posekit.tasks.pose.config import DataConfig, LossConfig, PoseConfig
from posekit.tasks.pose.task import PoseTask
from posekit.training.build import (
    assemble_engine,
    build_loaders,
    build_model,
    count_parameters,
    input_statistics,
    load_first_weights,
    open_sources,
    training_notes,
)
from posekit.training.engine import Engine
from posekit.training.log import draw_run

_DRAWN_PEOPLE = 32


def build_people(config: DataConfig) -> tuple[People, People]:
    """Open the training and validation people, all in the skeleton of the first training data set.

    First writes the synthetic data set if the configuration includes one.
    """
    root = Path(config.root)
    if config.synthetic.people:
        write_synthetic(root / config.synthetic.path, people=config.synthetic.people, seed=config.synthetic.seed)
    train = open_sources(config.train, root).without_unlabelled()
    valid = open_sources(config.valid, root, train.skeleton).without_unlabelled()
    return train, valid


def build_loss(config: LossConfig) -> HeatmapLoss:
    """Build the loss, wrapped in OHKM if configured."""
    makers: dict[str, Callable[[], HeatmapLoss]] = {
        "anchor": partial(losses.HeatmapAnchorLoss, config.gamma),
        "bce": losses.HeatmapBCE,
        "focal": partial(losses.HeatmapFocalLoss, config.gamma),
        "mse": losses.HeatmapMSE,
    }
    loss = makers[config.name]()
    return losses.OHKM(loss, config.ohkm) if config.ohkm else loss


def build_info(config: PoseConfig, skeleton: Skeleton) -> ModelInfo:
    """Build the description of the model that is stored in the weights files."""
    mean, std = input_statistics(config.model)
    return ModelInfo(
        skeleton=skeleton,
        input_size=config.model.input_size,
        stacks=config.model.stacks,
        features=config.model.features,
        depth=config.model.depth,
        encoder=config.model.encoder,
        head=build_loss(config.loss).head,
        mean=mean,
        std=std,
    )


def build_engine(config: PoseConfig, train: People, valid: People, *, out: Path, accelerator: Accelerator, resume: bool) -> Engine:
    """Build the engine, ready to run."""
    info = build_info(config, train.skeleton)
    model = build_model(partial(info.build, prior=config.model.prior), config.seed)
    if not resume:
        load_first_weights(model, config.model, info.skeleton.joints)
    size = info.input_size
    crops = CropDataset(train, size=size, ranges=config.augment, seed=config.seed)
    loader, valid_loader = build_loaders(crops, CropDataset(valid, size=size), config, accelerator, collate)
    targets = config.targets
    task = PoseTask(
        loader=loader,
        valid_loader=valid_loader,
        valid_people=valid,
        prepare=partial(normalise, mean=info.mean, std=info.std),
        encode=partial(heatmaps.encode, size=size // heatmaps.STRIDE, sigma=targets.sigma, subpixel=targets.subpixel),
        criterion=build_loss(config.loss),
        warmup_criterion=losses.HeatmapBCE(),
        warmup_epochs=config.loss.warmup_epochs,
    )
    notes = training_notes(config.loss.name, config.loss.gamma, train)
    info = info.with_notes(**notes, sigma=targets.sigma, subpixel=targets.subpixel)
    return assemble_engine(task, model, config, info=info, out=out, accelerator=accelerator, resume=resume)


class PoseTraining:
    """Training run of a pose model (implements `posekit.training.command.Training`)."""

    def __init__(self, config: PoseConfig):
        self.config = config
        self.train, self.valid = build_people(config.data)
        self.baseline = score(self.valid, mean_pose(self.train, self.valid))
        if not self.baseline.n_persons:
            raise DataError(
                f"{self.valid.name} {self.valid.split}: no person has a {self.baseline.reference}, which PCK needs; "
                "choose another data.valid"
            )

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
        overlap = ""
        shared = np.isin(self.valid.image_paths, self.train.image_paths).sum()
        if shared:
            overlap = f"\n       warning: {shared:,} validation people are in training images, so the scores will be too high"
        return (
            f"train: {_describe_people(self.train)}\n"
            f"valid: {_describe_people(self.valid)}; {baseline.n_persons:,} can be evaluated{overlap}\n"
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
