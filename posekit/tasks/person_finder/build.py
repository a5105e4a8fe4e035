"""Build the data, loss, model and engine of a person finder's training run, and draw its result."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from accelerate import Accelerator

from posekit import losses
from posekit.data.crops import identity_collate
from posekit.data.labelled_images import ImageFiles, open_images
from posekit.drawing.labels import draw_boxes
from posekit.drawing.pose import contact_sheet
from posekit.images import write_image
from posekit.losses import HeatmapLoss
from posekit.models import normalise
from posekit.people import People
from posekit.tasks.person_finder.config import DetectorConfig, ScenesConfig
from posekit.tasks.person_finder.finder import CentreFinder, CentresInfo, sizes_between
from posekit.tasks.person_finder.scenes import SceneDataset
from posekit.tasks.person_finder.task import CentresTask
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
from posekit.training.log import draw_run, read_metrics

_DRAWN_SCENES = 24
_SCENES_PER_ROW = 6

Images = Sequence[np.ndarray] | np.ndarray | ImageFiles
"""RGB images, each (H, W, 3) uint8."""


def build_scene_parts(config: ScenesConfig) -> tuple[People, People, Images]:
    """Open the training people, the validation people, and the background images (empty if not configured)."""
    root = Path(config.root)
    people = open_sources(config.people, root).without_unlabelled()
    valid = open_sources(config.valid, root, people.skeleton).without_unlabelled()
    backgrounds: Images = ()
    if config.backgrounds.images:
        backgrounds = open_images(config.backgrounds.images, root / config.backgrounds.path, "train").images
    return people, valid, backgrounds


class DetectorTraining:
    """Training run of a person finder (implements `posekit.training.command.Training`)."""

    def __init__(self, config: DetectorConfig):
        self.config = config
        self.people, self.valid, self.backgrounds = build_scene_parts(config.data)
        self.sizes = sizes_between(config.sizes.least, config.sizes.most, config.sizes.per_octave)

    def build_engine(self, *, out: Path, accelerator: Accelerator, resume: bool) -> Engine:
        """Build the engine, ready to run."""
        config = self.config
        model_config = config.model
        mean, std = input_statistics(model_config)
        info = CentresInfo(self.sizes, model_config.features, model_config.depth, model_config.encoder, mean, std)
        info = info.with_notes(**training_notes(config.loss.name, config.loss.gamma, self.people))
        model = build_model(partial(info.build, prior=model_config.prior), config.seed)
        if not resume:
            load_first_weights(model, model_config, joints=())
        scenes = self._compose_scenes(self.people)
        loader, valid_loader = build_loaders(scenes, self._compose_scenes(self.valid), config, accelerator, identity_collate)
        makers: dict[str, Callable[[], HeatmapLoss]] = {
            "anchor": partial(losses.HeatmapAnchorLoss, config.loss.gamma),
            "bce": losses.HeatmapBCE,
            "focal": partial(losses.HeatmapFocalLoss, config.loss.gamma),
        }
        task = CentresTask(
            loader=loader,
            valid_loader=valid_loader,
            prepare=partial(normalise, mean=mean, std=std),
            sizes=self.sizes,
            criterion=makers[config.loss.name](),
        )
        return assemble_engine(task, model, config, info=info, out=out, accelerator=accelerator, resume=resume)

    def _compose_scenes(self, people: People) -> SceneDataset:
        return SceneDataset(people, self.backgrounds, size=self.config.model.input_size, seed=self.config.seed)

    def summary(self, engine: Engine) -> str:
        """Describe the data and the network."""
        people = self.people
        valid = self.valid
        backgrounds = "synthetic"
        if len(self.backgrounds):
            backgrounds += f", and {len(self.backgrounds):,} images"
        sizes = ", ".join(f"{size:.0f}" for size in self.sizes)
        return (
            f"train: {len(people):,} people of {people.name} {people.split}, one scene per person and epoch\n"
            f"valid: {len(valid):,} people of {valid.name} {valid.split}; backgrounds: {backgrounds}\n"
            f"model: {count_parameters(engine.plain_model) / 1e6:.2f} M parameters, people of {sizes} px "
            f"in scenes of {self.config.model.input_size} px; loss: {self.config.loss.name}; device: {engine.accelerator.device}"
        )

    def finish(self, out: Path, engine: Engine) -> None:
        """Draw the boxes that the best weights find in validation scenes."""
        weights = out / "best.safetensors"
        figures = draw_run(out)
        find = CentreFinder(weights, device=str(engine.accelerator.device))
        scenes = self._compose_scenes(self.valid)
        batch = scenes.__getitems__([(0, index) for index in range(min(_DRAWN_SCENES, len(scenes)))])
        drawn = []
        for image_rgb in batch.images.numpy():
            image = np.ascontiguousarray(image_rgb[..., ::-1])
            drawn.append(draw_boxes(image, find(image)))
        write_image(figures / "scenes.png", contact_sheet(drawn, _SCENES_PER_ROW))
        best = max(read_metrics(out / "metrics.csv"), key=lambda row: row[engine.task.metric])
        print(
            f"\nvalidation: {len(self.valid):,} people, IoU 0.5: AP {best['AP50']:.1f} %, recall {best['recall']:.1f} %\n\n"
            f"weights: {weights}\nfigures: {figures}"
        )
