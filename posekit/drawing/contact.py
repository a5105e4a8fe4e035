"""Annotated persons with every joint named, to see at a glance whether labels are what they claim to be."""

from collections.abc import Sequence

import numpy as np

from posekit.drawing.pose import MIDDLE, contact_sheet, draw_pose, side_colour
from posekit.geometry import Crop
from posekit.opencv import cv2
from posekit.people import Person
from posekit.skeletons import Skeleton

_PICTURE, _COLUMN = 400, 104  # widths in pixels
_ACROSS = 3  # persons in a row
_DARK = (30, 30, 30)
_FONT, _SCALE, _LINE = cv2.FONT_HERSHEY_SIMPLEX, 0.48, 20
_LEGEND = "names in orange: the person's own left; in blue: right; in white: middle; in brackets: labelled, but hidden"


def named_sheet(images: Sequence[np.ndarray], persons: Sequence[Person], skeleton: Skeleton, titles: Sequence[str]) -> np.ndarray:
    """Show persons side by side, each as in `draw_named`, under a line that explains the colours.

    Parameters
    ----------
    images : sequence of (H, W, 3) uint8
        Each person's photograph, blue, green, red; at least one, of any sizes.
    persons : sequence of Person
    skeleton : Skeleton
    titles : sequence of str

    Returns
    -------
    (height, width, 3) uint8

    Raises
    ------
    ValueError
        If there is no person, or lengths or shapes do not fit.
    """
    tiles = [draw_named(image, person, skeleton) for image, person in zip(images, persons, strict=True)]
    sheet = contact_sheet(tiles, _ACROSS, titles)
    strip = np.full((2 * _LINE, sheet.shape[1], 3), _DARK[0], np.uint8)
    _write(strip, _LEGEND, 8, _LINE, MIDDLE)
    return np.vstack([strip, sheet])


def draw_named(image_bgr: np.ndarray, person: Person, skeleton: Skeleton) -> np.ndarray:
    """Draw a person's labelled joints, each tied to its name at the picture's left or right.

    Parameters
    ----------
    image_bgr : (H, W, 3) uint8
        The person's photograph.
    person : Person
        What is shown is its box, or as much more as the joints need, up to twice the side.
    skeleton : Skeleton

    Returns
    -------
    (height, width, 3) uint8, of one shape for all persons; black outside the photograph.
    """
    crop = _crop(person)
    joints = crop.forward(person.joints)
    picture = draw_pose(crop.warp(image_bgr), joints, skeleton, shown_K=person.labelled)
    canvas = np.full((_PICTURE, _PICTURE + 2 * _COLUMN, 3), _DARK[0], np.uint8)
    canvas[:, _COLUMN:-_COLUMN] = picture
    shown = np.flatnonzero(person.labelled)
    shown = shown[np.argsort(joints[shown, 0], kind="stable")]
    for side, members in (("left", shown[: len(shown) // 2]), ("right", shown[len(shown) // 2 :])):
        members = members[np.argsort(joints[members, 1], kind="stable")]
        for joint, y in zip(members, _rows(joints[members, 1]), strict=True):
            name = _short(skeleton.joints[joint])
            text = name if person.visible[joint] else f"({name})"
            _name(canvas, text, side, y, joints[joint] + (_COLUMN, 0), side_colour(skeleton.joints[joint]))
    return canvas


def _crop(person: Person) -> Crop:
    far = np.abs(person.joints[person.labelled] - person.box.centre).max(initial=0)
    return Crop(person.box.scaled(float(np.clip(2.1 * far / person.box.side, 1, 2))), _PICTURE)


def _rows(wanted: np.ndarray) -> np.ndarray:
    """Heights of names, as near to the joints' as they can be without touching each other; ascending, as the joints' are."""
    n = len(wanted)
    line = min(_LINE, _PICTURE / max(n, 1))
    steps = line * np.arange(n)
    lowest, highest = line / 2, _PICTURE - line / 2
    rows = np.maximum.accumulate(np.maximum(wanted, lowest) - steps) + steps
    return np.minimum(rows, highest - steps[::-1])


def _name(canvas, text, side, y, joint, colour) -> None:
    """A name beside the picture, and a thin line from it to the joint, which ends at the picture's edge if the joint is outside."""
    edge = _COLUMN if side == "left" else _COLUMN + _PICTURE
    end = np.clip(joint, (_COLUMN, 0), (_COLUMN + _PICTURE - 1, _PICTURE - 1))
    cv2.line(canvas, (edge, round(y)), tuple(np.round(end).astype(int).tolist()), colour, 1, cv2.LINE_AA)
    while _width(text) > _COLUMN - 6:
        text = text[:-1]
    _write(canvas, text, edge - 4 - _width(text) if side == "left" else edge + 4, y + 4, colour)


def _width(text) -> int:
    return cv2.getTextSize(text, _FONT, _SCALE, 1)[0][0]


def _write(canvas, text, x, y, colour) -> None:
    cv2.putText(canvas, text, (round(x), round(y)), _FONT, _SCALE, colour, 1, cv2.LINE_AA)


def _short(joint: str) -> str:
    return joint.replace("left_", "l ").replace("right_", "r ").replace("_", " ")
