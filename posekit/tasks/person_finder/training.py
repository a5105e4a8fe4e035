"""One training run of a person finder: its data, its engine, what is written at the end."""

from pathlib import Path

import numpy as np
from accelerate import Accelerator

from posekit.drawing.boxes import draw_boxes
from posekit.drawing.pose import contact_sheet
from posekit.drawing.training import training_curves
from posekit.files import writable_folder
from posekit.images import write_image
from posekit.tasks.person_finder.build import build_detector_engine, build_scene_parts
from posekit.tasks.person_finder.config import DetectorConfig
from posekit.tasks.person_finder.finder import CentreFinder
from posekit.tasks.person_finder.scenes import SceneDataset
from posekit.training.engine import Engine
from posekit.training.log import read_run

_DRAWN, _ACROSS = 24, 6


class DetectorTraining:
    """The training of a network that finds people (a `posekit.training.command.Training`)."""

    def __init__(self, config: DetectorConfig):
        self.config = config
        self.people, self.valid, self.backgrounds = build_scene_parts(config.data)

    def build_engine(self, *, out: Path, accelerator: Accelerator, resume: bool) -> Engine:
        """As `posekit.tasks.person_finder.build.build_detector_engine`."""
        parts = self.people, self.valid, self.backgrounds
        return build_detector_engine(self.config, *parts, out=out, accelerator=accelerator, resume=resume)

    def summary(self, engine: Engine) -> str:
        """What is trained on, and what the network is."""
        parameters = sum(parameter.numel() for parameter in engine.plain_model.parameters())
        sizes = ", ".join(f"{size:.0f}" for size in engine.task.sizes)
        return "\n".join(
            [
                f"train: {len(self.people):,} people of {self.people.name} {self.people.split}, each the first of a scene",
                f"valid: {len(self.valid):,} people of {self.valid.name} {self.valid.split}; backgrounds: drawn"
                + (f", and {len(self.backgrounds):,} photographs" if len(self.backgrounds) else ""),
                f"model: {parameters / 1e6:.2f} M parameters, people of {sizes} px in scenes of {self.config.model.input_size} px; "
                f"loss: {self.config.loss.name}; device: {engine.accelerator.device}",
            ]
        )

    def finish(self, out: Path, engine: Engine) -> None:
        """Draw what the best weights find."""
        weights, run, figures = out / "best.safetensors", read_run(out), writable_folder(out / "figures")
        training_curves({out.name: run}).savefig(figures / "training.png")
        scenes = SceneDataset(self.valid, self.backgrounds, size=self.config.model.input_size, seed=self.config.seed)
        find = CentreFinder(weights, device=str(engine.accelerator.device))
        images = scenes.__getitems__([(0, index) for index in range(min(_DRAWN, len(scenes)))]).images.numpy()[..., ::-1]
        drawn = [draw_boxes(np.ascontiguousarray(image), find(image)) for image in images]
        write_image(figures / "scenes.png", contact_sheet(drawn, _ACROSS))
        best = max(run.rows, key=lambda row: row[engine.task.metric])
        print(
            f"\nin scenes of {len(self.valid):,} other people, IoU 0.5: AP {best['AP50']:.1f} %, recall {best['recall']:.1f} %\n\n"
            f"weights:  {weights}\npictures: {figures}"
        )
