"""Skeletons drawn on photographs, and sheets of them.

Left and right are the person's own. Colours come from Okabe and Ito's palette for colour-blind
readers (Color Universal Design, 2008); whatever a colour says about errors, a shape says too.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from posekit.geometry import Box
from posekit.opencv import cv2
from posekit.skeletons import Skeleton

# Blue, green, red.
LEFT, RIGHT, MIDDLE = (0, 159, 230), (233, 180, 86), (240, 240, 240)
WRONG = (255, 60, 255)
_DARK, _TEXT = (30, 30, 30), (235, 235, 235)

# cv2 takes sub-pixel coordinates as integers with this many binary places.
_PLACES = 4
# Further out than this lies no joint, and cv2's integers overflow.
_FAR_PX = 1e5
_GAP = 4
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_pose(
    image_bgr: np.ndarray,
    joints_K2: np.ndarray,
    skeleton: Skeleton,
    *,
    shown_K: np.ndarray | None = None,
    box: Box | None = None,
) -> np.ndarray:
    """Draw one person's skeleton; the strokes grow with the person.

    Parameters
    ----------
    image_bgr : (H, W, 3) uint8
        It is not changed.
    joints_K2 : (K, 2) float
        Image pixels. A joint that is not finite is left out, with its limbs.
    skeleton : Skeleton
    shown_K : (K,) bool, optional
        Joints to draw; the others are left out, with their limbs.
    box : Box, optional
        Drawn as a thin frame.

    Returns
    -------
    (H, W, 3) uint8, a new image.

    Raises
    ------
    ValueError
        If an array has the wrong shape or dtype.
    """
    joints, shown = _checked(image_bgr, joints_K2, skeleton, shown_K)
    canvas = image_bgr.copy()
    stroke = _stroke(joints[shown])
    if box is not None:
        _draw_box(canvas, box, max(1, round(stroke / 3)))
    _draw_skeleton(canvas, joints, shown, skeleton, stroke)
    return canvas


def contact_sheet(images: Sequence[np.ndarray], columns: int, titles: Sequence[str] | None = None) -> np.ndarray:
    """Arrange pictures of one size in rows, each under its title.

    Parameters
    ----------
    images : sequence of (H, W, 3) uint8
        At least one, all of one shape.
    columns : int
        Pictures in a row.
    titles : sequence of str, optional
        One for each picture; what does not fit is shortened.

    Returns
    -------
    (height, width, 3) uint8

    Raises
    ------
    ValueError
        If there is no picture, their shapes differ, or the titles are not as many.
    """
    shapes = {image.shape for image in images}
    if len(shapes) != 1 or columns < 1:
        raise ValueError(f"contact sheet: expected pictures of one shape and columns >= 1, got {sorted(shapes)} and {columns}")
    if titles is not None:
        images = [_titled(image, title) for image, title in zip(images, titles, strict=True)]
    framed = [cv2.copyMakeBorder(image, *[_GAP] * 4, cv2.BORDER_CONSTANT, value=_DARK) for image in images]
    columns = min(columns, len(framed))
    framed += [np.full_like(framed[0], _DARK[0])] * (-len(framed) % columns)
    return np.vstack([np.hstack(framed[i : i + columns]) for i in range(0, len(framed), columns)])


def prediction_sheet(
    crops: Sequence[np.ndarray],
    predictions: Mapping[str, tuple[np.ndarray, np.ndarray]],
    truth: np.ndarray,
    labelled: np.ndarray,
    skeleton: Skeleton,
    *,
    counted: np.ndarray | None = None,
    titles: Sequence[str] | None = None,
    columns: int = 4,
    tile: int = 256,
) -> np.ndarray:
    """Show predictions beside the truth, with every wrong joint ringed and tied to where it belongs.

    Parameters
    ----------
    crops : sequence of (S, S, 3) uint8
        Blue, green, red; at least one.
    predictions : mapping of str to ((N, K, 2) float, (N, K) bool)
        By what they are called, such as the model's name: joints in crop pixels, NaN where there is none, and whether each
        agrees with the truth (read where that counts).
    truth : (N, K, 2) float
        Crop pixels.
    labelled : (N, K) bool
        Whether the truth is known. If it is of nobody, it has no place in the sheet.
    skeleton : Skeleton
    counted : (N, K) bool, optional
        Joints that are judged, if these are not all that are labelled.
    titles : sequence of str, optional
        Above each person.
    columns : int
        Persons in a row.
    tile : int
        Side of one picture in the sheet, pixels.

    Returns
    -------
    (height, width, 3) uint8

    Raises
    ------
    ValueError
        If there is no crop or an array has the wrong shape.
    """
    shape = len(crops), len(skeleton)
    _require_shape("truth", truth, (*shape, 2))
    counted = labelled if counted is None else counted
    for name, flags in {"labelled": labelled, "counted": counted}.items():
        _require_shape(name, flags, shape)
    for name, (predicted, correct) in predictions.items():
        _require_shape(f"{name}: predicted", predicted, (*shape, 2))
        _require_shape(f"{name}: correct", correct, shape)
    rows = []
    for i, crop in enumerate(crops):
        of_one = {name: (predicted[i], correct[i]) for name, (predicted, correct) in predictions.items()}
        options = {"counted": counted[i], "show_truth": bool(labelled.any())}
        rows.append(draw_comparison(crop, of_one, truth[i], labelled[i], skeleton, tile, **options))
    sheet = contact_sheet(rows, columns, titles)
    return np.vstack([sheet, _legend(sheet.shape[1], marks=bool(labelled.any()))])


def draw_comparison(
    crop: np.ndarray,
    predictions: Mapping[str, tuple[np.ndarray, np.ndarray]],
    truth: np.ndarray,
    labelled: np.ndarray,
    skeleton: Skeleton,
    tile: int = 256,
    *,
    counted: np.ndarray | None = None,
    show_truth: bool = True,
) -> np.ndarray:
    """One person of `prediction_sheet`: each prediction with its wrong joints marked, and the truth.

    Parameters are those of `prediction_sheet`, for one crop.

    Returns
    -------
    (height, width, 3) uint8
    """
    picture, stroke = _resized(crop, tile), max(1.0, tile / 110)

    def place(joints):  # an integer is a pixel's centre, so scaling goes about -0.5
        return (np.asarray(joints, np.float64) + 0.5) * tile / len(crop) - 0.5

    counted, parts = labelled if counted is None else counted, []
    for name, (predicted, correct) in predictions.items():
        wrong = counted & ~correct
        told = f": {wrong.sum()} of {counted.sum()} wrong" if counted.any() else ""
        parts.append(_titled(_draw_prediction(picture, place(predicted), place(truth), wrong, skeleton, stroke), name + told))
    if show_truth:
        right = picture.copy()
        _draw_skeleton(right, place(truth), labelled, skeleton, stroke)
        parts.append(_titled(right, "truth"))
    seam = np.full((len(parts[0]), 2, 3), _DARK[0], np.uint8)
    return np.hstack([piece for part in parts for piece in (seam, part)][1:])


def _draw_prediction(picture, predicted, truth, wrong, skeleton, stroke) -> np.ndarray:
    picture = picture.copy()
    _draw_skeleton(picture, predicted, _near(predicted), skeleton, stroke)
    for i in np.flatnonzero(wrong & _near(predicted)):
        _mark_wrong(picture, predicted[i], truth[i], stroke)
    return picture


def _checked(image, joints, skeleton, shown):
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image: expected (H, W, 3) uint8, got {image.shape} {image.dtype}")
    joints = np.asarray(joints, dtype=np.float64)
    _require_shape("joints", joints, (len(skeleton), 2))
    if shown is not None:
        _require_shape("shown", shown, (len(skeleton),))
    return joints, _near(joints) & (True if shown is None else np.asarray(shown, bool))


def _require_shape(name, array, shape):
    if np.shape(array) != shape:
        raise ValueError(f"{name}: expected {shape}, got {np.shape(array)}")


def _near(joints) -> np.ndarray:
    return (np.abs(joints) < _FAR_PX).all(-1)  # False for NaN


def _stroke(joints) -> float:
    """Width of a limb in pixels: 1 for a person of 60 px, 11 for one of 1000 px."""
    extent = np.ptp(joints, axis=0).max() if len(joints) else 0.0
    return float(np.clip(extent / 90, 1.0, 12.0))


def _draw_skeleton(canvas, joints, shown, skeleton, stroke) -> None:
    for a, b in skeleton.limb_indices:
        if shown[a] and shown[b]:
            colour = side_colour(skeleton.joints[a], skeleton.joints[b])
            _line(canvas, joints[a], joints[b], colour, stroke)
    for i in np.flatnonzero(shown):
        _dot(canvas, joints[i], side_colour(skeleton.joints[i]), stroke)


def side_colour(*joints: str) -> tuple[int, int, int]:
    """Colour of a joint or a limb; a limb from the middle to one side belongs to that side."""
    sides = {side for side in ("left", "right") for joint in joints if joint.startswith(f"{side}_")}
    return {"left": LEFT, "right": RIGHT}[sides.pop()] if len(sides) == 1 else MIDDLE


def _fixed(point) -> tuple[int, int]:
    return tuple(round(value * 2**_PLACES) for value in point)


def _line(canvas, start, end, colour, width) -> None:
    """A straight stroke on a dark outline, as polygons: cv2's lines have whole widths only."""
    along = (end - start) / max(np.hypot(*(end - start)), 1e-6)
    across = np.array([-along[1], along[0]])
    for tone, half in ((_DARK, width / 2 + _outline(width)), (colour, width / 2)):
        corners = [start + half * across, end + half * across, end - half * across, start - half * across]
        cv2.fillConvexPoly(canvas, np.array([_fixed(corner) for corner in corners]), tone, cv2.LINE_AA, _PLACES)


def _outline(width) -> float:
    return max(0.5, 0.2 * width)


def _disc(canvas, centre, radius, colour, thickness=cv2.FILLED) -> None:
    cv2.circle(canvas, _fixed(centre), round(radius * 2**_PLACES), colour, thickness, cv2.LINE_AA, _PLACES)


def _dot(canvas, centre, colour, stroke) -> None:
    radius = stroke + 0.3
    _disc(canvas, centre, radius + _outline(stroke), _DARK)
    _disc(canvas, centre, radius, colour)


def _mark_wrong(canvas, predicted, truth, stroke) -> None:
    """A line to the truth, a cross there, and a ring around the prediction."""
    radius, width = 2.2 * stroke + 3, max(1, round(0.7 * stroke))
    way = truth - predicted
    length = np.hypot(*way)
    if length > radius:
        _line(canvas, predicted + way * radius / length, truth, WRONG, width)
    for tilt in ((1, 1), (1, -1)):
        arm = 0.6 * radius * np.array(tilt)
        _line(canvas, truth - arm, truth + arm, WRONG, width)
    _disc(canvas, predicted, radius, _DARK, width + 2)
    _disc(canvas, predicted, radius, WRONG, width)


def _draw_box(canvas, box, width) -> None:
    centre, half = np.array(box.centre), box.side / 2
    corners = tuple(_fixed(np.clip(corner, -_FAR_PX, _FAR_PX)) for corner in (centre - half, centre + half))
    for tone, thickness in ((_DARK, width + 2), (MIDDLE, width)):
        cv2.rectangle(canvas, *corners, tone, thickness, cv2.LINE_AA, _PLACES)


def _resized(crop, tile) -> np.ndarray:
    how = cv2.INTER_AREA if crop.shape[0] > tile else cv2.INTER_CUBIC
    return cv2.resize(crop, (tile, tile), interpolation=how)


def _font_scale(width) -> float:
    return float(np.clip(width / 560, 0.35, 0.8))


def _titled(image, title) -> np.ndarray:
    """The picture under a strip with its title."""
    scale, width = _font_scale(image.shape[1]), image.shape[1]
    strip = np.full((round(44 * scale), width, 3), _DARK[0], np.uint8)
    _write(strip, _shortened(title, width - 8, scale), 4, scale)
    return np.vstack([strip, image])


def _text_width(text, scale) -> int:
    return cv2.getTextSize(text, _FONT, scale, 1)[0][0]


def _shortened(text, width, scale) -> str:
    if _text_width(text, scale) <= width:
        return text
    while text and _text_width(text + "...", scale) > width:
        text = text[:-1]
    return text + "..."


def _write(canvas, text, x, scale, line=0) -> None:
    """Write into line number `line` of a strip of lines 44 * scale high."""
    cv2.putText(canvas, text, (round(x), round((44 * line + 30) * scale)), _FONT, scale, _TEXT, 1, cv2.LINE_AA)


def _legend(width, *, marks: bool) -> np.ndarray:
    """A strip that says what the colours and marks mean, in as many lines as it needs."""
    scale = _font_scale(256)
    swatch, line_height = 60 * scale, 44 * scale
    entries = {"left": LEFT, "right": RIGHT, "middle": MIDDLE}
    if marks:
        entries["wrong, and the way to the truth"] = WRONG
    places, x, line = [], 8.0, 0
    for text in entries:
        needed = swatch + _text_width(text, scale) + 30
        if x + needed > width and x > 8:
            x, line = 8.0, line + 1
        places.append((x, line))
        x += needed
    strip = np.full((round(line_height * (line + 1)), width, 3), _DARK[0], np.uint8)
    for (text, colour), (x, line) in zip(entries.items(), places, strict=True):
        _draw_swatch(strip, np.array([x, line_height * (line + 0.55)]), swatch, colour)
        _write(strip, text, x + swatch + 4, scale, line)
    return strip


def _draw_swatch(strip, start, width, colour) -> None:
    step = np.array([width, 0])
    start, end = start + 0.2 * step, start + 0.8 * step
    if colour == WRONG:
        _mark_wrong(strip, start, end, 1.0)
        return
    _line(strip, start, end, colour, 2.0)
    for point in (start, end):
        _dot(strip, point, colour, 2.0)
