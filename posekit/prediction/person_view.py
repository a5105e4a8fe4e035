"""Persons of a data set to look at, and showing one to a model."""

import numpy as np
import torch

from posekit import heatmaps
from posekit.drawing.person_view import ModelOutput, PersonView
from posekit.errors import WeightsError
from posekit.geometry import Crop
from posekit.people import People
from posekit.prediction.predictor import Predictor


def annotated_view(people: People, index: int) -> PersonView:
    """A person of a data set; of packed people, in the pixels of the pack.

    Raises
    ------
    ImageError
        If the photograph cannot be read.
    """
    image, person = people[index].read()
    title = f"{people.name} {people.split}, person {index}"
    return PersonView(title, image, person.box, people.skeleton, person.joints, person.labelled)


def run_model(predictor: Predictor, view: PersonView) -> ModelOutput:
    """Show a person to a model.

    Raises
    ------
    ValueError
        If the view has other joints than the model.
    WeightsError
        If the model's heatmaps are not finite.
    BoxError
        If the box lies wholly outside the photograph.
    """
    info = predictor.info
    if view.skeleton.joints != info.skeleton.joints:
        raise ValueError(f"view: has the skeleton {view.skeleton.name}, the model {info.skeleton.name}")
    height, width = view.image.shape[:2]
    view.box.require_overlap(width, height)
    crops = [Crop(view.box.scaled(scale), info.input_size).warp_rgb(view.image) for scale in predictor.views.scales]
    images = torch.from_numpy(np.stack(crops))
    maps = predictor.predict_maps(images).cpu()
    if not maps.isfinite().all():
        raise WeightsError("the model's heatmaps are not finite numbers: its training failed; take other weights")
    points, scores = heatmaps.decode(maps, method=predictor.decode, stride=info.input_size // maps.shape[-1])
    return ModelOutput(view, info.input_size, maps[0].numpy(), points[0].numpy(), scores[0].numpy(), info.target_options)
