"""Persons of a data set to look at, and showing one to a model."""

import numpy as np
import torch

from posekit import heatmaps
from posekit.data.pack.read import placed, read_pixels
from posekit.drawing.person_view import Look, Subject
from posekit.errors import WeightsError
from posekit.geometry import Crop
from posekit.people import People
from posekit.prediction.predictor import Predictor


def annotated_subject(people: People, index: int) -> Subject:
    """A person of a data set; of packed people, in the pixels of the pack.

    Raises
    ------
    ImageError
        If the photograph cannot be read.
    """
    person = people[index]
    image, matrix = read_pixels(person)
    person = person if matrix is None else placed(person, matrix)
    title = f"{people.name} {people.split}, person {index}"
    return Subject(title, image, person.box, people.skeleton, person.joints, person.labelled)


def look(predictor: Predictor, subject: Subject) -> Look:
    """Show a person to a model.

    Raises
    ------
    ValueError
        If the subject has other joints than the model.
    WeightsError
        If the model's heatmaps are not finite.
    BoxError
        If the box lies wholly outside the photograph.
    """
    info = predictor.info
    if subject.skeleton.joints != info.skeleton.joints:
        raise ValueError(f"subject: has the skeleton {subject.skeleton.name}, the model {info.skeleton.name}")
    height, width = subject.image.shape[:2]
    subject.box.require_overlap(width, height)
    crops = [Crop(subject.box.scaled(scale), info.input_size).warp_rgb(subject.image) for scale in predictor.views.scales]
    images = torch.from_numpy(np.stack(crops))
    maps = predictor.predict_maps(images).cpu()
    if not maps.isfinite().all():
        raise WeightsError("the model's heatmaps are not finite numbers: its training failed; take other weights")
    points, scores = heatmaps.decode(maps, method=predictor.decode, stride=info.input_size // maps.shape[-1])
    return Look(subject, info.input_size, maps[0].numpy(), points[0].numpy(), scores[0].numpy(), info.target_options)
