"""Images of the page, as data URIs, and SVG marks drawn over the images."""

import base64
from dataclasses import dataclass
from functools import cache

import numpy as np

from posekit.drawing.maps import Scale, backdrop
from posekit.drawing.penalty import overlay_heatmap
from posekit.drawing.pose import draw_pose
from posekit.drawing.style import BLUE, PALE, RED, SKY
from posekit.images import cv2
from posekit.lab.explorer.state import ExplorerState, Rectangle, person_box

# Displayed sizes in pixels: side of the crop, side of the heatmap and the other maps, longer side of the whole image.
CROP, MAP, WHOLE = 512, 320, 512
_BAR_SHAPE = (12, 256)
_QUALITY = 85
REGIONS = {"negative": BLUE, "rim": PALE, "circle": "#f0e442", "hard": RED}  # the yellow is from the palette of Okabe and Ito
_OPACITIES = {"negative": 0.45, "rim": 0.75, "circle": 0.85, "hard": 0.9}
_MIN_MODULATOR_TOP = 2.0  # smallest upper end of the modulator's colour scale


@dataclass(frozen=True)
class MapImage:
    """Heatmap, mask, modulator or penalty map of the shown joint, drawn over the crop, with marks and a colour bar.

    Parameters
    ----------
    image : str
        The map over the crop, MAP x MAP pixels, as a data URI.
    marks : str
        SVG content: on every map the joint's true position; on the heatmap also the model's peak; on the penalty map also the
        pixel with the highest penalty, if any penalty is above 0.
    bar : str, optional
        The colour bar, as a data URI.
    values : tuple of float
        Values at the left end, the middle and the right end of the colour bar.
    """

    image: str
    marks: str
    bar: str | None = None
    values: tuple[float, ...] = ()


def draw_maps(state: ExplorerState) -> dict[str, MapImage]:
    """Draw the heatmap, mask, modulator and penalty map of the joint that the state selects."""
    maps = state.maps
    probability = maps.probability[0, state.joint].numpy()
    penalty = maps.penalty[0, state.joint].numpy()
    modulator = maps.modulator[0, state.joint].numpy()
    scale = Scale("modulator", max(float(modulator.max()), _MIN_MODULATOR_TOP), middle=1.0)
    background = backdrop(state.output.view.cropped(MAP))
    truth = _truth_mark(state, MAP)
    return {
        "heatmap": _heat_image(background, probability, _peak_mark(state, MAP) + truth),
        "mask": MapImage(data_uri(_draw_mask(state, background)), truth),
        "modulator": MapImage(
            data_uri(_overlay_diverging(background, modulator, scale)), truth, _modulator_bar(scale), (0.0, 1.0, scale.top)
        ),
        "penalty": _heat_image(background, penalty, truth + _penalty_mark(state)),
    }


def _heat_image(background: np.ndarray, values: np.ndarray, marks: str) -> MapImage:
    top = float(values.max())
    return MapImage(data_uri(overlay_heatmap(background, values)), marks, _heat_bar(), (0.0, top / 2, top))


def crop_marks(state: ExplorerState) -> str:
    """Return SVG content for the crop: the joint's true position and the model's peak."""
    return _peak_mark(state, CROP) + _truth_mark(state, CROP)


def draw_person(state: ExplorerState) -> str:
    """Draw the predicted pose on the crop, and return a data URI."""
    view = state.output.view
    return data_uri(draw_pose(view.cropped(CROP), _to_crop(state, state.output.predicted, CROP), view.skeleton))


def draw_whole_image(state: ExplorerState) -> tuple[str, tuple[int, int]]:
    """Resize the whole image to a longer side of `WHOLE` pixels, and return a data URI and the resized (width, height)."""
    image = state.output.view.image
    height, width = image.shape[:2]
    factor = WHOLE / max(height, width)
    size = (max(1, round(factor * width)), max(1, round(factor * height)))
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return data_uri(cv2.resize(image, size, interpolation=interpolation)), size


def frame_marks(state: ExplorerState, size: tuple[int, int], drawn: Rectangle | None = None) -> str:
    """Return SVG content for the whole image: the rectangle around the person, and the model's box as a dashed line.

    `size` is the displayed width and height of the image. While the user draws a rectangle, only the rectangle `drawn` is shown.
    """
    factor = size[0] / state.output.view.image.shape[1]
    rectangle = _rectangle_mark(drawn or state.shown_rectangle, factor, "")
    if drawn:
        return rectangle
    box = person_box(state.output.view.image, state.rectangle)
    left, top = (centre + 0.5 - box.side / 2 for centre in box.centre)
    return rectangle + _rectangle_mark((left, top, box.side, box.side), factor, 'stroke-dasharray="7 5"')


def data_uri(image: np.ndarray) -> str:
    """Encode a BGR image, (H, W, 3) uint8, as JPEG, which is the fastest format to encode during a drag."""
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def _draw_mask(state: ExplorerState, background: np.ndarray) -> np.ndarray:
    from matplotlib.colors import to_rgb

    negative = state.maps.mask[0, state.joint].numpy()
    circle = state.maps.circle[0, state.joint].numpy()
    layers = np.zeros((*negative.shape, 4), np.float32)
    regions = {"negative": negative, "rim": ~negative, "circle": circle, "hard": state.hard}
    for name, region in regions.items():  # in this order, because later regions lie within earlier regions
        layers[region] = (*to_rgb(REGIONS[name])[::-1], _OPACITIES[name])
    layers = cv2.resize(layers, background.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return _blend(background, layers[..., :3], layers[..., 3])


def _overlay_diverging(background: np.ndarray, values: np.ndarray, scale: Scale) -> np.ndarray:
    from matplotlib import colormaps

    enlarged = cv2.resize(values.astype(np.float32), background.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    colours = colormaps[scale.colours](scale.norm()(enlarged))[..., 2::-1]
    return _blend(background, colours, scale.opacity(enlarged))


def _blend(background: np.ndarray, colours: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Blend `colours`, (H, W, 3) from 0 to 1, over the background, with the `opacity` of each pixel, (H, W) from 0 to 1."""
    opacity = opacity[..., None]
    return np.rint((1 - opacity) * background + opacity * 255 * colours).astype(np.uint8)


@cache
def _heat_bar() -> str:
    ramp = np.linspace(0, 1, _BAR_SHAPE[1], dtype=np.float32)
    return data_uri(overlay_heatmap(_grey_bar(), np.tile(ramp, (_BAR_SHAPE[0], 1))))


def _modulator_bar(scale: Scale) -> str:
    """Draw the modulator's colour bar, with evenly spaced colours over the whole scale."""
    values = np.asarray(scale.norm().inverse(np.linspace(0, 1, _BAR_SHAPE[1])), np.float32)
    return data_uri(_overlay_diverging(_grey_bar(), np.tile(values, (_BAR_SHAPE[0], 1)), scale))


def _grey_bar() -> np.ndarray:
    return np.full((*_BAR_SHAPE, 3), 70, np.uint8)


def _to_crop(state: ExplorerState, points: np.ndarray, side: int) -> np.ndarray:
    """Convert pixel coordinates of the model's crop to pixel coordinates of a crop with the given side."""
    return (np.asarray(points, np.float64) + 0.5) * side / state.output.size - 0.5


def _truth_mark(state: ExplorerState, side: int) -> str:
    x, y = _to_crop(state, state.truth, side) + 0.5  # SVG coordinates start at the image's edge
    arm, stroke = (14, 3.0) if side == CROP else (8, 2.0)
    cross = f"M{x - arm:.1f} {y:.1f}h{2 * arm}M{x:.1f} {y - arm:.1f}v{2 * arm}"
    return _outlined("path", f'd="{cross}"', stroke, "#fff")


def _peak_mark(state: ExplorerState, side: int) -> str:
    radius, stroke = (10, 3.0) if side == CROP else (6, 2.0)
    return _ring(_to_crop(state, state.output.predicted[state.joint], side), radius, stroke, SKY)


def _penalty_mark(state: ExplorerState) -> str:
    if state.facts.penalty == 0:
        return ""
    point = state.output.view.crop(MAP).forward(np.array(state.facts.penalty_at))
    return _ring(point, 15, 2.0, "#fff", 'stroke-dasharray="6 4"')


def _ring(point: np.ndarray, radius: int, stroke: float, colour: str, style: str = "") -> str:
    x, y = point + 0.5
    return _outlined("circle", f'cx="{x:.1f}" cy="{y:.1f}" r="{radius}" {style}', stroke, colour)


def _rectangle_mark(rectangle: Rectangle, factor: float, style: str) -> str:
    x, y, width, height = (factor * value for value in rectangle)
    return _outlined("rect", f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" {style}', 3.0, "#fff")


def _outlined(shape: str, attributes: str, stroke: float, colour: str) -> str:
    """Return an SVG shape with a black outline, which is visible on any background."""
    outline = f'<{shape} {attributes} fill="none" stroke="#000" stroke-width="{stroke + 2.5}"/>'
    return outline + f'<{shape} {attributes} fill="none" stroke="{colour}" stroke-width="{stroke}"/>'
