"""Draw skeletons on images, and arrange such images in sheets.

Left and right are the person's own sides. The colours are from Okabe and Ito's palette for colour-blind readers (Color
Universal Design, 2008). Errors are marked by shapes as well as by colour.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from posekit.errors import require_array
from posekit.geometry import Box
from posekit.images import cv2
from posekit.skeletons import Skeleton

# BGR.
LEFT = (0, 159, 230)
RIGHT = (233, 180, 86)
MIDDLE = (240, 240, 240)
WRONG = (255, 60, 255)
DARK = (30, 30, 30)
_TEXT = (235, 235, 235)

# Number of fractional bits of cv2's sub-pixel coordinates, which are fixed-point integers.
_PLACES = 4
# Joints with larger coordinates are not drawn: cv2's integers would overflow.
_FAR_PX = 1e5
_GAP = 4
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_pose(
    image_bgr: np.ndarray,
    joints_K2: np.ndarray,
    skeleton: Skeleton,
    *,
    shown_K: np.ndarray | None = None,
    box: Box | None = None,
) -> np.ndarray:
    """Draw one person's skeleton on a copy of an image; the line width is proportional to the person's size.

    Parameters
    ----------
    image_bgr : (H, W, 3) uint8
    joints_K2 : (K, 2) float
        Joints in image pixels. Joints that are not finite, and limbs that end at such joints, are not drawn.
    skeleton : Skeleton
    shown_K : (K,) bool, optional
        True where a joint is drawn; a limb is drawn if both of its joints are drawn. By default, all joints are drawn.
    box : Box, optional
        Bounding box to draw, as a thin frame.
    """
    require_array("image", image_bgr, ("H", "W", 3), "uint8")
    joints = np.asarray(joints_K2, dtype=np.float64)
    require_array("joints", joints, (len(skeleton), 2), "float64")
    shown = _is_drawable(joints)
    if shown_K is not None:
        drawn = np.asarray(shown_K, bool)
        require_array("shown", drawn, (len(skeleton),), "bool")
        shown = shown & drawn
    canvas = image_bgr.copy()
    stroke = _stroke_width(joints[shown])
    if box is not None:
        _draw_box(canvas, box, max(1, round(stroke / 3)))
    _draw_skeleton(canvas, joints, shown, skeleton, stroke)
    return canvas


def contact_sheet(images: Sequence[np.ndarray], columns: int, titles: Sequence[str] | None = None) -> np.ndarray:
    """Arrange BGR images of equal shape in a grid, with `columns` images per row; titles that do not fit are shortened.

    Raises
    ------
    ValueError
        If there is no image, the shapes differ, or the numbers of titles and images differ.
    """
    shapes = {image.shape for image in images}
    if len(shapes) != 1 or columns < 1:
        raise ValueError(
            f"contact sheet: expected images of equal shape and columns >= 1, got shapes {sorted(shapes)} and columns {columns}"
        )
    if titles is not None:
        images = [_titled(image, title) for image, title in zip(images, titles, strict=True)]
    tiles = [cv2.copyMakeBorder(image, _GAP, _GAP, _GAP, _GAP, cv2.BORDER_CONSTANT, value=DARK) for image in images]
    columns = min(columns, len(tiles))
    while len(tiles) % columns:
        tiles.append(np.full_like(tiles[0], DARK[0]))
    return np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])


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
    """Draw predictions beside the truth; a wrong joint has a ring, and a line to the true location.

    Parameters
    ----------
    crops : sequence of (S, S, 3) uint8
        BGR crops, one per person; at least one.
    predictions : mapping of str to ((N, K, 2) float, (N, K) bool)
        Predictions by model name: joints in crop pixels, NaN where a joint was not predicted; and a mask, True where the
        joint is correct. The mask is used only for `counted` joints.
    truth : (N, K, 2) float
        True joints in crop pixels.
    labelled : (N, K) bool
        True where the true joint is known. If no joint is labelled, the true skeletons are not shown.
    skeleton : Skeleton
    counted : (N, K) bool, optional
        True where the joint is evaluated; by default, all labelled joints are.
    titles : sequence of str, optional
        One title per person.
    columns : int
        People per row.
    tile : int
        Width and height of each image in the sheet, pixels.

    Raises
    ------
    ValueError
        If there is no crop or an array has the wrong shape or dtype.
    """
    shape = (len(crops), len(skeleton))
    counted = labelled if counted is None else counted
    require_array("truth", truth, (*shape, 2), "float")
    require_array("labelled", labelled, shape, "bool")
    require_array("counted", counted, shape, "bool")
    for name, (predicted, correct) in predictions.items():
        require_array(f"{name}: predicted", predicted, (*shape, 2), "float")
        require_array(f"{name}: correct", correct, shape, "bool")
    show_truth = bool(labelled.any())
    comparisons = []
    for i, crop in enumerate(crops):
        person = {name: (predicted[i], correct[i]) for name, (predicted, correct) in predictions.items()}
        comparisons.append(
            draw_comparison(crop, person, truth[i], labelled[i], skeleton, tile, counted=counted[i], show_truth=show_truth)
        )
    sheet = contact_sheet(comparisons, columns, titles)
    return np.vstack([sheet, _legend(sheet.shape[1], marks=show_truth)])


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
    """Draw one person of `prediction_sheet`: each model's prediction with wrong joints marked, then, with `show_truth`, the truth.

    The parameters are those of `prediction_sheet`, without the first axis (people).
    """
    counted = labelled if counted is None else counted
    interpolation = cv2.INTER_AREA if len(crop) > tile else cv2.INTER_CUBIC
    image = cv2.resize(crop, (tile, tile), interpolation=interpolation)
    stroke = max(1.0, tile / 110)
    truth = rescaled(truth, len(crop), tile)
    seam = np.full((len(_titled(image, "")), 2, 3), DARK[0], np.uint8)
    parts = []
    for name, (predicted, correct) in predictions.items():
        wrong = counted & ~correct
        predicted = rescaled(predicted, len(crop), tile)
        shown = _is_drawable(predicted)
        drawn = image.copy()
        _draw_skeleton(drawn, predicted, shown, skeleton, stroke)
        for joint in np.flatnonzero(wrong & shown):
            _mark_wrong(drawn, predicted[joint], truth[joint], stroke)
        title = f"{name}: {wrong.sum()} of {counted.sum()} wrong" if counted.any() else name
        parts += [_titled(drawn, title), seam]
    if show_truth:
        drawn = image.copy()
        _draw_skeleton(drawn, truth, labelled, skeleton, stroke)
        parts += [_titled(drawn, "truth"), seam]
    return np.hstack(parts[:-1])


def side_colour(*joints: str) -> tuple[int, int, int]:
    """Return the BGR colour of a joint or limb; a limb between a middle joint and a side joint has the colour of the side."""
    left = any(joint.startswith("left_") for joint in joints)
    right = any(joint.startswith("right_") for joint in joints)
    if left == right:
        return MIDDLE
    return LEFT if left else RIGHT


def _is_drawable(joints: np.ndarray) -> np.ndarray:
    return (np.abs(joints) < _FAR_PX).all(-1)  # False for NaN


def rescaled(points: np.ndarray, size: int, new_size: int) -> np.ndarray:
    """Convert points in a square image to the same image resized from `size` to `new_size` pixels."""
    # Integer coordinates are pixel centres, so the border of the image is at -0.5.
    return (np.asarray(points, np.float64) + 0.5) * new_size / size - 0.5


def _stroke_width(joints: np.ndarray) -> float:
    """Return the width of limbs in pixels: 1 for a person of up to 90 px, 11 for a person of 1000 px."""
    extent = np.ptp(joints, axis=0).max() if len(joints) else 0.0
    return float(np.clip(extent / 90, 1.0, 12.0))


def _draw_skeleton(canvas, joints, shown, skeleton: Skeleton, stroke: float) -> None:
    for a, b in skeleton.limb_indices:
        if shown[a] and shown[b]:
            _draw_line(canvas, joints[a], joints[b], side_colour(skeleton.joints[a], skeleton.joints[b]), stroke)
    for i in np.flatnonzero(shown):
        _draw_dot(canvas, joints[i], side_colour(skeleton.joints[i]), stroke)


def _fixed_point(point: np.ndarray) -> tuple[int, int]:
    x, y = np.rint(point * 2**_PLACES).astype(int).tolist()
    return x, y


def _draw_line(canvas, start, end, colour, width: float) -> None:
    """Draw a line with a dark outline, as polygons, because cv2's lines have integer widths."""
    along = (end - start) / max(np.hypot(*(end - start)), 1e-6)
    across = np.array([-along[1], along[0]])
    for tone, half in ((DARK, width / 2 + _outline_width(width)), (colour, width / 2)):
        corners = [start + half * across, end + half * across, end - half * across, start - half * across]
        cv2.fillConvexPoly(canvas, np.array([_fixed_point(corner) for corner in corners]), tone, cv2.LINE_AA, _PLACES)


def _outline_width(stroke: float) -> float:
    return max(0.5, 0.2 * stroke)


def _draw_circle(canvas, centre, radius: float, colour, thickness: int = cv2.FILLED) -> None:
    cv2.circle(canvas, _fixed_point(centre), round(radius * 2**_PLACES), colour, thickness, cv2.LINE_AA, _PLACES)


def _draw_dot(canvas, centre, colour, stroke: float) -> None:
    _draw_circle(canvas, centre, stroke + 0.3 + _outline_width(stroke), DARK)
    _draw_circle(canvas, centre, stroke + 0.3, colour)


def _mark_wrong(canvas, predicted, truth, stroke: float) -> None:
    """Draw a ring around the predicted joint, a cross at the true joint and a line between the two."""
    radius = 2.2 * stroke + 3
    width = max(1, round(0.7 * stroke))
    offset = truth - predicted
    distance = np.hypot(*offset)
    if distance > radius:
        _draw_line(canvas, predicted + offset * radius / distance, truth, WRONG, width)
    for direction in ((1, 1), (1, -1)):
        arm = 0.6 * radius * np.array(direction)
        _draw_line(canvas, truth - arm, truth + arm, WRONG, width)
    _draw_circle(canvas, predicted, radius, DARK, width + 2)
    _draw_circle(canvas, predicted, radius, WRONG, width)


def _draw_box(canvas, box: Box, width: int) -> None:
    centre = np.array(box.centre)
    top_left = _fixed_point(np.clip(centre - box.side / 2, -_FAR_PX, _FAR_PX))
    bottom_right = _fixed_point(np.clip(centre + box.side / 2, -_FAR_PX, _FAR_PX))
    for tone, thickness in ((DARK, width + 2), (MIDDLE, width)):
        cv2.rectangle(canvas, top_left, bottom_right, tone, thickness, cv2.LINE_AA, _PLACES)


def _font_scale(width: int) -> float:
    return float(np.clip(width / 560, 0.35, 0.8))


def _titled(image: np.ndarray, title: str) -> np.ndarray:
    """Add a strip with the title above the image."""
    width = image.shape[1]
    scale = _font_scale(width)
    strip = np.full((round(44 * scale), width, 3), DARK[0], np.uint8)
    text = title
    while title and _text_width(text, scale) > width - 8:
        title = title[:-1]
        text = title + "..."
    _write(strip, text, 4, scale)
    return np.vstack([strip, image])


def _text_width(text: str, scale: float) -> int:
    return cv2.getTextSize(text, FONT, scale, 1)[0][0]


def _write(canvas, text: str, x: float, scale: float, line: int = 0) -> None:
    """Write text on line number `line` (from 0) of a strip with lines of height 44 * scale."""
    cv2.putText(canvas, text, (round(x), round((44 * line + 30) * scale)), FONT, scale, _TEXT, 1, cv2.LINE_AA)


def _legend(width: int, *, marks: bool) -> np.ndarray:
    """Draw a strip that explains the colours and, with `marks`, the marks of wrong joints, in as many lines as needed."""
    scale = _font_scale(256)
    swatch = 60 * scale
    line_height = 44 * scale
    entries = {"left": LEFT, "right": RIGHT, "middle": MIDDLE}
    if marks:
        entries["wrong joint, line to the truth"] = WRONG
    positions = []
    line = 0
    x = 8.0
    for text in entries:
        entry_width = swatch + _text_width(text, scale) + 30
        if x + entry_width > width and x > 8:
            line += 1
            x = 8.0
        positions.append((x, line))
        x += entry_width
    strip = np.full((round(line_height * (line + 1)), width, 3), DARK[0], np.uint8)
    for (text, colour), (x, line) in zip(entries.items(), positions, strict=True):
        y = line_height * (line + 0.55)
        start = np.array([x + 0.2 * swatch, y])
        end = np.array([x + 0.8 * swatch, y])
        if colour == WRONG:
            _mark_wrong(strip, start, end, 1.0)
        else:
            _draw_line(strip, start, end, colour, 2.0)
            _draw_dot(strip, start, colour, 2.0)
            _draw_dot(strip, end, colour, 2.0)
        _write(strip, text, x + swatch + 4, scale, line)
    return strip
