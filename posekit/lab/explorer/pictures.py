"""The page's pictures of a scene, as data URIs, and the marks that lie over them."""

import base64
from dataclasses import dataclass
from functools import cache

import numpy as np

from posekit.drawing.maps import Scale, backdrop
from posekit.drawing.penalty import overlay_heatmap
from posekit.drawing.pose import draw_pose
from posekit.drawing.style import BLUE, PALE, RED, SKY
from posekit.lab.explorer.scene import ExplorerState, Facts, enclosing
from posekit.opencv import cv2

# Pixels: the crop, the maps over it, and the longer side of the whole photograph.
CROP, MAP, PHOTOGRAPH = 512, 320, 512
_BAR = (12, 256)
_QUALITY = 85
# Regions of a map: yellow is Okabe and Ito's.
CIRCLE = "#f0e442"
REGIONS = {"negative": BLUE, "rim": PALE, "circle": CIRCLE, "hard": RED}
_TINTS = {"negative": 0.45, "rim": 0.75, "circle": 0.85, "hard": 0.9}
# The modulator's colours end here or further.
_LEAST_TOP = 2.0


@dataclass(frozen=True)
class Bar:
    """A colour bar: its colours as they lie on a grey photograph, and the values at its left end, middle and right end."""

    picture: str
    values: tuple[float, float, float]


@dataclass(frozen=True)
class Shown:
    """What the page shows of a scene besides the photograph and the crop.

    Parameters
    ----------
    heatmap, mask, modulator, penalty : str
        Pictures (MAP, MAP) as data URIs: the joint's maps over the crop.
    heatmap_bar, modulator_bar, penalty_bar : Bar
    facts : Facts
    crop_marks : str
        SVG content for the crop: the joint's true place, the model's peak.
    heatmap_marks : str
        The same for the heatmap.
    map_marks : str
        The true place alone: the other maps are of most interest where the peaks are.
    penalty_marks : str
        With it the highest penalty, if there is one.
    """

    heatmap: str
    mask: str
    modulator: str
    penalty: str
    heatmap_bar: Bar
    modulator_bar: Bar
    penalty_bar: Bar
    facts: Facts
    crop_marks: str
    heatmap_marks: str
    map_marks: str
    penalty_marks: str


def draw(scene: ExplorerState) -> Shown:
    """Draw the joint's maps and marks."""
    maps, j = scene.maps, scene.joint
    probability, penalty = maps.probability[0, j].numpy(), maps.penalty[0, j].numpy()
    factor = maps.modulator[0, j].numpy()
    scale = Scale("modulator", max(float(factor.max()), _LEAST_TOP), middle=1.0)
    under = backdrop(scene.output.view.picture(MAP))
    truth = _truth(scene, MAP)
    return Shown(
        heatmap=data_uri(overlay_heatmap(under, probability)),
        mask=data_uri(_mask(scene, under)),
        modulator=data_uri(_diverging(under, factor, scale)),
        penalty=data_uri(overlay_heatmap(under, penalty)),
        heatmap_bar=Bar(_heat_bar(), (0.0, float(probability.max()) / 2, float(probability.max()))),
        modulator_bar=Bar(data_uri(_diverging(_grey(), _ramp(scale), scale)), (0.0, 1.0, scale.top)),
        penalty_bar=Bar(_heat_bar(), (0.0, float(penalty.max()) / 2, float(penalty.max()))),
        facts=scene.facts,
        crop_marks=_peak(scene, CROP) + _truth(scene, CROP),
        heatmap_marks=_peak(scene, MAP) + truth,
        map_marks=truth,
        penalty_marks=truth + _worst(scene),
    )


def person(scene: ExplorerState) -> str:
    """The crop with the keypoints that the model found."""
    crop = scene.output.view.picture(CROP)
    return data_uri(draw_pose(crop, _enlarged(scene, scene.output.predicted, CROP), scene.output.view.skeleton))


def photograph(scene: ExplorerState) -> tuple[str, tuple[int, int]]:
    """The whole photograph, its longer side `PHOTOGRAPH` pixels, and its (width, height) then."""
    image = scene.output.view.image
    height, width = image.shape[:2]
    factor = PHOTOGRAPH / max(height, width)
    size = max(1, round(factor * width)), max(1, round(factor * height))
    return data_uri(cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)), size


def frames(scene: ExplorerState, size: tuple[int, int], drawn: tuple[float, float, float, float] | None = None) -> str:
    """SVG content for the photograph shown with that size: the rectangle around the person, and dashed what the model sees.

    Parameters
    ----------
    scene : ExplorerState
    size : (int, int)
    drawn : (x, y, width, height), optional
        A rectangle that is being drawn, in pixels of the photograph; then it is shown alone.
    """
    height, width = scene.output.view.image.shape[:2]
    factor = size[0] / width
    rectangle = drawn or scene.rectangle or (0, 0, width, height)
    frame = _rectangle(rectangle, factor, "")
    if drawn:
        return frame
    box = enclosing(scene.output.view.image, scene.rectangle)
    left, top = (c + 0.5 - box.side / 2 for c in box.centre)
    return frame + _rectangle((left, top, box.side, box.side), factor, 'stroke-dasharray="7 5"')


def data_uri(picture: np.ndarray) -> str:
    """A picture (H, W, 3) uint8, blue, green, red, as JPEG: the quickest to encode while somebody drags."""
    encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded).decode("ascii")


def _mask(scene: ExplorerState, under: np.ndarray) -> np.ndarray:
    from matplotlib.colors import to_rgb

    maps, j = scene.maps, scene.joint
    negative, circle = maps.mask[0, j].numpy(), maps.circle[0, j].numpy()
    layers = np.zeros((*negative.shape, 4), np.float32)
    regions = {"negative": negative, "rim": ~negative, "circle": circle, "hard": scene.hard}
    for name, region in regions.items():  # later ones lie within earlier ones
        layers[region] = (*to_rgb(REGIONS[name])[::-1], _TINTS[name])
    layers = cv2.resize(layers, under.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return _blended(under, layers[..., :3], layers[..., 3])


def _diverging(under: np.ndarray, values: np.ndarray, scale: Scale) -> np.ndarray:
    from matplotlib import colormaps

    enlarged = cv2.resize(values.astype(np.float32), under.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return _blended(under, colormaps[scale.colours](scale.norm()(enlarged))[..., 2::-1], scale.opacity(enlarged))


def _blended(under: np.ndarray, colours: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3) of 0 to 1 laid over a picture with opacity (H, W)."""
    opacity = opacity[..., None]
    return np.rint((1 - opacity) * under + opacity * 255 * colours).astype(np.uint8)


@cache
def _heat_bar() -> str:
    return data_uri(overlay_heatmap(_grey(), np.tile(np.linspace(0, 1, _BAR[1], dtype=np.float32), (_BAR[0], 1))))


def _ramp(scale: Scale) -> np.ndarray:
    """(12, 256) float: values from the scale's first colour to its last, evenly in colour."""
    return np.tile(np.asarray(scale.norm().inverse(np.linspace(0, 1, _BAR[1])), np.float32), (_BAR[0], 1))


def _grey() -> np.ndarray:
    return np.full((*_BAR, 3), 70, np.uint8)


def _enlarged(scene: ExplorerState, points: np.ndarray, side: int) -> np.ndarray:
    """Pixels of the model's crop as pixels of a crop so wide."""
    return (np.asarray(points, np.float64) + 0.5) * side / scene.output.size - 0.5


def _truth(scene: ExplorerState, side: int) -> str:
    x, y = _enlarged(scene, scene.truth, side) + 0.5  # SVG counts from the picture's edge
    arm, stroke = (14, 3.0) if side == CROP else (8, 2.0)
    cross = f"M{x - arm:.1f} {y:.1f}h{2 * arm}M{x:.1f} {y - arm:.1f}v{2 * arm}"
    return _outlined("path", f'd="{cross}"', stroke, "#fff")


def _peak(scene: ExplorerState, side: int) -> str:
    radius, stroke = (10, 3.0) if side == CROP else (6, 2.0)
    return _ring(_enlarged(scene, scene.output.predicted[scene.joint], side), radius, stroke, SKY)


def _worst(scene: ExplorerState) -> str:
    if scene.facts.penalty == 0:
        return ""
    return _ring(scene.output.view.crop(MAP).forward(np.array(scene.facts.at)), 15, 2.0, "#fff", 'stroke-dasharray="6 4"')


def _ring(point: np.ndarray, radius: int, stroke: float, colour: str, style: str = "") -> str:
    x, y = point + 0.5
    return _outlined("circle", f'cx="{x:.1f}" cy="{y:.1f}" r="{radius}" {style}', stroke, colour)


def _outlined(shape: str, place: str, stroke: float, colour: str) -> str:
    """A shape drawn twice, so that it is seen on any ground."""
    strokes = ((stroke + 2.5, "#000"), (stroke, colour))
    return "".join(f'<{shape} {place} fill="none" stroke="{ink}" stroke-width="{width}"/>' for width, ink in strokes)


def _rectangle(rectangle: tuple[float, float, float, float], factor: float, style: str) -> str:
    x, y, width, height = (factor * value for value in rectangle)
    return _outlined("rect", f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" {style}', 3.0, "#fff")
