"""Draw labels on images: numbers of people, boxes with scores, and names of joints."""

from collections.abc import Sequence

import numpy as np

from posekit.drawing.pose import DARK, FONT, MIDDLE, contact_sheet, draw_pose, side_colour
from posekit.geometry import Box, Crop
from posekit.images import cv2
from posekit.people import Person
from posekit.skeletons import Skeleton

_BOX_COLOUR = (80, 220, 80)  # BGR
_BOX_OUTLINE = (20, 20, 20)

# Sheets of people with the names of their joints. All lengths are in pixels.
_CROP = 400  # width of the crop
_MARGIN = 104  # width of the columns with names
_COLUMNS = 3  # people per row
_FONT_SCALE = 0.48
_LINE = 20
_LEGEND = "orange names: the person's left side; blue: right side; white: middle; in brackets: joint is labelled but hidden"


def draw_numbers(image_bgr: np.ndarray, places: Sequence[tuple[float, float]]) -> np.ndarray:
    """Write 1, 2, 3, … on a copy of an image, above points (x, y) in pixels; numbers beyond the border are moved inside."""
    canvas = image_bgr.copy()
    height, width = canvas.shape[:2]
    digit_height = max(10, max(height, width) / 50)  # smaller digits are hard to read
    scale = digit_height / 22  # at scale 1, cv2's digits are 22 pixels high
    thickness = max(1, round(digit_height / 12))
    for number, (x, y) in enumerate(places, 1):
        (text_width, text_height), _ = cv2.getTextSize(str(number), FONT, scale, thickness)
        gap = max(2, text_height // 4)
        box_width = text_width + 2 * gap
        box_height = text_height + 2 * gap
        left = int(np.clip(x - box_width / 2, 0, max(0, width - box_width)))
        top = int(np.clip(y - box_height - gap, 0, max(0, height - box_height)))
        cv2.rectangle(canvas, (left, top), (left + box_width, top + box_height), DARK, cv2.FILLED)
        cv2.putText(canvas, str(number), (left + gap, top + text_height + gap), FONT, scale, MIDDLE, thickness, cv2.LINE_AA)
    return canvas


def draw_boxes(image_bgr: np.ndarray, boxes: Sequence[tuple[Box, float]]) -> np.ndarray:
    """Draw bounding boxes with their scores on a copy of an image; the first box, which has the highest score, is on top."""
    canvas = image_bgr.copy()
    for box, score in reversed(boxes):
        centre = np.array(box.centre)
        left, top = np.rint(centre - box.side / 2).astype(int).tolist()
        right, bottom = np.rint(centre + box.side / 2).astype(int).tolist()
        text_origin = (max(left, 0) + 3, max(top, 0) + 13)
        for colour, width in ((_BOX_OUTLINE, 3), (_BOX_COLOUR, 1)):
            cv2.rectangle(canvas, (left, top), (right, bottom), colour, width)
            cv2.putText(canvas, f"{score:.2f}", text_origin, FONT, 0.4, colour, width, cv2.LINE_AA)
    return canvas


def named_sheet(images: Sequence[np.ndarray], people: Sequence[Person], skeleton: Skeleton, titles: Sequence[str]) -> np.ndarray:
    """Draw people in a grid with `draw_named`, each in a BGR image of any size, below a line that explains the colours.

    Raises
    ------
    ValueError
        If there is no person, or the numbers of images, people and titles differ.
    """
    tiles = [draw_named(image, person, skeleton) for image, person in zip(images, people, strict=True)]
    sheet = contact_sheet(tiles, _COLUMNS, titles)
    strip = np.full((2 * _LINE, sheet.shape[1], 3), DARK[0], np.uint8)
    _write(strip, _LEGEND, 8, _LINE, MIDDLE)
    return np.vstack([strip, sheet])


def draw_named(image_bgr: np.ndarray, person: Person, skeleton: Skeleton) -> np.ndarray:
    """Draw a person's labelled joints, with a line from each joint to the joint's name on the left or right.

    The crop shows the person's box, enlarged up to two times if joints lie outside the box, and is black outside the image. The
    drawings of all people have the same shape.
    """
    distance = np.abs(person.joints[person.labelled] - person.box.centre).max(initial=0)
    margin = float(np.clip(2.1 * distance / person.box.side, 1, 2))
    crop = Crop(person.box.scaled(margin), _CROP)
    joints = crop.forward(person.joints)
    canvas = np.full((_CROP, _CROP + 2 * _MARGIN, 3), DARK[0], np.uint8)
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
    line = min(_LINE, _CROP / max(len(heights), 1))
    steps = line * np.arange(len(heights))
    spread = np.maximum.accumulate(np.maximum(heights, line / 2) - steps) + steps
    return np.minimum(spread, _CROP - line / 2 - steps[::-1])


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
    return cv2.getTextSize(text, FONT, _FONT_SCALE, 1)[0][0]


def _write(canvas, text: str, x: float, y: float, colour) -> None:
    cv2.putText(canvas, text, (round(x), round(y)), FONT, _FONT_SCALE, colour, 1, cv2.LINE_AA)
