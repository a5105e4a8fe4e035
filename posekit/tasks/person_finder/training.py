"""Training run of a person finder: data, engine and results."""

from pathlib import Path
from typing import cast

import numpy as np
from accelerate import Accelerator

from posekit.drawing.labels import draw_boxes
from posekit.drawing.pose import contact_sheet
from posekit.images import write_image
from posekit.tasks.person_finder.build import build_detector_engine, build_scene_parts
from posekit.tasks.person_finder.config import DetectorConfig
from posekit.tasks.person_finder.finder import CentreFinder
from posekit.tasks.person_finder.scenes import SceneDataset
from posekit.tasks.person_finder.task import CentresTask
from posekit.training.build import count_parameters
from posekit.training.engine import Engine
from posekit.training.log import draw_run, read_metrics

_DRAWN_SCENES = 24
_COLUMNS = 6


class DetectorTraining:
    """Training run of a person finder (implements `posekit.training.command.Training`)."""

    def __init__(self, config: DetectorConfig):
        self.config = config
        self.people, self.valid, self.backgrounds = build_scene_parts(config.data)

    def build_engine(self, *, out: Path, accelerator: Accelerator, resume: bool) -> Engine:
        """Build the engine, see `posekit.tasks.person_finder.build.build_detector_engine`."""
        return build_detector_engine(
            self.config, self.people, self.valid, self.backgrounds, out=out, accelerator=accelerator, resume=resume
        )

    def summary(self, engine: Engine) -> str:
        """Describe the data and the network."""
        people = self.people
        valid = self.valid
        backgrounds = "synthetic"
        if len(self.backgrounds):
            backgrounds += f", and {len(self.backgrounds):,} images"
        sizes = ", ".join(f"{size:.0f}" for size in cast(CentresTask, engine.task).sizes)
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
        scenes = SceneDataset(self.valid, self.backgrounds, size=self.config.model.input_size, seed=self.config.seed)
        batch = scenes.__getitems__([(0, index) for index in range(min(_DRAWN_SCENES, len(scenes)))])
        drawn = []
        for image_rgb in batch.images.numpy():
            image = np.ascontiguousarray(image_rgb[..., ::-1])
            drawn.append(draw_boxes(image, find(image)))
        write_image(figures / "scenes.png", contact_sheet(drawn, _COLUMNS))
        best = max(read_metrics(out / "metrics.csv"), key=lambda row: row[engine.task.metric])
        print(
            f"\nvalidation: {len(self.valid):,} people, IoU 0.5: AP {best['AP50']:.1f} %, recall {best['recall']:.1f} %\n\n"
            f"weights: {weights}\nfigures: {figures}"
        )
