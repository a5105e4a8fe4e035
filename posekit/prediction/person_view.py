"""Make a `PersonView` of an annotated person, and run a model on a `PersonView`."""

import numpy as np
import torch

from posekit import heatmaps
from posekit.drawing.person_view import ModelOutput, PersonView
from posekit.errors import WeightsError
from posekit.people import People
from posekit.prediction.predictor import Predictor


def annotated_view(people: People, index: int) -> PersonView:
    """Return the view of one person of a data set, in pixels of the image file; for a pack, in pixels of the packed crop.

    Raises
    ------
    ImageError
        If the image cannot be read.
    """
    image, person = people[index].read()
    title = f"{people.name} {people.split}, person {index}"
    return PersonView(title, image, person.box, people.skeleton, person.joints, person.labelled)


def run_model(predictor: Predictor, view: PersonView) -> ModelOutput:
    """Run a model on the person of a view.

    Raises
    ------
    ValueError
        If the joints of the view differ from the model's joints.
    WeightsError
        If the model's heatmaps are not finite.
    BoxError
        If the view's box lies completely outside the image.
    """
    info = predictor.info
    if view.skeleton.joints != info.skeleton.joints:
        raise ValueError(f"view: expected the model's skeleton {info.skeleton.name}, got {view.skeleton.name}")
    height, width = view.image.shape[:2]
    view.box.require_overlap(width, height)
    crops = torch.from_numpy(np.stack(predictor.crop(view.image, view.box)))
    maps = predictor.predict_maps(crops).cpu()
    if not maps.isfinite().all():
        raise WeightsError("the model's heatmaps are not finite: the training of the model failed; choose other weights")
    points, scores = heatmaps.decode(maps, method=predictor.decode, stride=info.input_size // maps.shape[-1])
    return ModelOutput(view, info.input_size, maps[0].numpy(), points[0].numpy(), scores[0].numpy(), info.target_options)
