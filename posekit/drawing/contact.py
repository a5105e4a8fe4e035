"""Draw annotated people with the names of their joints, to check annotations visually."""

from collections.abc import Sequence

import numpy as np

from posekit.drawing.pose import MIDDLE, contact_sheet, draw_pose, side_colour
from posekit.geometry import Crop
from posekit.opencv import cv2
from posekit.people import Person
from posekit.skeletons import Skeleton

_CROP = 400  # width of the crop, pixels
_MARGIN = 104  # width of the columns with names, pixels
_COLUMNS = 3  # people per row
_DARK = (30, 30, 30)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_SCALE = 0.48
_LINE = 20
_LEGEND = "orange names: the person's left side; blue: right side; white: middle; in brackets: joint is labelled but hidden"


def named_sheet(images: Sequence[np.ndarray], persons: Sequence[Person], skeleton: Skeleton, titles: Sequence[str]) -> np.ndarray:
    """Draw people side by side with `draw_named`, below a line that explains the colours.

    Parameters
    ----------
    images : sequence of (H, W, 3) uint8
        One BGR image per person; at least one; the sizes may differ.
    persons : sequence of Person
        One person per image.
    skeleton : Skeleton
    titles : sequence of str
        One title per person.

    Returns
    -------
    (height, width, 3) uint8

    Raises
    ------
    ValueError
        If there is no person, or the numbers of images, persons and titles differ.
    """
    tiles = [draw_named(image, person, skeleton) for image, person in zip(images, persons, strict=True)]
    sheet = contact_sheet(tiles, _COLUMNS, titles)
    strip = np.full((2 * _LINE, sheet.shape[1], 3), _DARK[0], np.uint8)
    _write(strip, _LEGEND, 8, _LINE, MIDDLE)
    return np.vstack([strip, sheet])


def draw_named(image_bgr: np.ndarray, person: Person, skeleton: Skeleton) -> np.ndarray:
    """Draw a person's labelled joints, with a line from each joint to its name on the left or right.

    Parameters
    ----------
    image_bgr : (H, W, 3) uint8
        The person's image, BGR.
    person : Person
        The crop shows the person's box, enlarged up to two times if joints lie outside the box.
    skeleton : Skeleton

    Returns
    -------
    (height, width, 3) uint8
        The same shape for all people; the crop is black outside the image.
    """
    distance = np.abs(person.joints[person.labelled] - person.box.centre).max(initial=0)
    margin = float(np.clip(2.1 * distance / person.box.side, 1, 2))
    crop = Crop(person.box.scaled(margin), _CROP)
    joints = crop.forward(person.joints)
    canvas = np.full((_CROP, _CROP + 2 * _MARGIN, 3), _DARK[0], np.uint8)
    canvas[:, _MARGIN:-_MARGIN] = draw_pose(crop.warp(image_bgr), joints, skeleton, shown_K=person.labelled)
    shown = np.flatnonzero(person.labelled)
    shown = shown[np.argsort(joints[shown, 0], kind="stable")]
    half = len(shown) // 2
    for side, members in (("left", shown[:half]), ("right", shown[half:])):
        members = members[np.argsort(joints[members, 1], kind="stable")]
        for joint, y in zip(members, _spread(joints[members, 1]), strict=True):
            name = skeleton.joints[joint]
            text = name.replace("left_", "l ").replace("right_", "r ").replace("_", " ")
            if not person.visible[joint]:
                text = f"({text})"
            _draw_name(canvas, text, side, y, joints[joint] + (_MARGIN, 0), side_colour(name))
    return canvas


def _spread(heights: np.ndarray) -> np.ndarray:
    """Move the ascending y coordinates of text lines apart, as little as needed, so that the lines do not overlap."""
    n = len(heights)
    line = min(_LINE, _CROP / max(n, 1))
    steps = line * np.arange(n)
    lowest = line / 2
    highest = _CROP - line / 2
    spread = np.maximum.accumulate(np.maximum(heights, lowest) - steps) + steps
    return np.minimum(spread, highest - steps[::-1])


def _draw_name(canvas, text: str, side: str, y: float, joint: np.ndarray, colour) -> None:
    """Write a name beside the crop, and draw a thin line to the joint, or to the edge of the crop if the joint lies outside."""
    edge = _MARGIN if side == "left" else _MARGIN + _CROP
    end = np.clip(joint, (_MARGIN, 0), (_MARGIN + _CROP - 1, _CROP - 1))
    cv2.line(canvas, (edge, round(y)), tuple(np.round(end).astype(int).tolist()), colour, 1, cv2.LINE_AA)
    while _text_width(text) > _MARGIN - 6:
        text = text[:-1]
    x = edge - 4 - _text_width(text) if side == "left" else edge + 4
    _write(canvas, text, x, y + 4, colour)


def _text_width(text: str) -> int:
    return cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)[0][0]


def _write(canvas, text: str, x: float, y: float, colour) -> None:
    cv2.putText(canvas, text, (round(x), round(y)), _FONT, _FONT_SCALE, colour, 1, cv2.LINE_AA)
