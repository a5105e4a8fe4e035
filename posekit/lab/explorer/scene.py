"""What is looked at: one person before one model, the place of a joint, gamma and the anchor; and its numbers."""

import io
import math
import warnings
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image

from posekit.drawing.person_view import ModelOutput, PersonView
from posekit.errors import ImageError
from posekit.geometry import Box
from posekit.images import decode_image
from posekit.losses.explain import AnchorMaps
from posekit.prediction.person_view import run_model
from posekit.prediction.predictor import Predictor

# What an upload may be: bytes, pixels, and kinds of picture that a browser's user calls a photograph.
LARGEST_FILE, LARGEST_PICTURE = 32 * 2**20, 64 * 10**6
_KINDS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")

Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True)
class Facts:
    """Numbers of one joint's map.

    Parameters
    ----------
    anchor : float
        q*; NaN for a map without one: the joint lies outside the crop.
    penalty : float
        The highest that a pixel receives.
    at : (float, float)
        That pixel's centre, pixels of the photograph; it means nothing where `penalty` is 0.
    hard : float
        Share of the true negatives that score higher than the anchor.
    anchor_loss, cross_entropy : float
        What anchor loss and binary cross entropy charge, mean over the map's pixels, as the losses' ``reduction="mean"``.
    """

    anchor: float
    penalty: float
    at: tuple[float, float]
    hard: float
    anchor_loss: float
    cross_entropy: float


@dataclass(frozen=True)
class ExplorerState:
    """One person before one model, and what of the loss is looked at. It never changes: every step makes a new one.

    Parameters
    ----------
    output : ModelOutput
        Its view knows the joints that were placed by hand, and no others.
    rectangle : (x, y, width, height), optional
        Around the person, as of `Box.from_xywh`; None is the whole photograph.
    joint : int
        Whose map is looked at.
    gamma : float
    anchor : float, optional
        q*; by default the map's own.
    """

    output: ModelOutput
    rectangle: Rectangle | None = None
    joint: int = 0
    gamma: float = 2.0
    anchor: float | None = None

    @property
    def placed(self) -> bool:
        """Whether the joint's true place was given by hand; otherwise the model's own peak stands for it."""
        return bool(self.output.view.known[self.joint])

    @cached_property
    def judged(self) -> ModelOutput:
        """The look with every joint's place known, the model's own peaks standing for those that were not given."""
        view, size = self.output.view, self.output.size
        peaks = view.crop(size).inverse(self.output.predicted.astype(np.float64))
        joints = np.where(view.known[:, None], view.joints, peaks)
        return replace(self.output, view=replace(view, joints=joints, known=np.ones(len(joints), bool)))

    @cached_property
    def maps(self) -> AnchorMaps:
        """The parts of anchor loss on all maps; every tensor (1, K, h, w)."""
        return self.judged.explain(self.gamma, self.anchor)

    @property
    def hard(self) -> np.ndarray:
        """(h, w) bool: true negatives of the joint's map that score higher than the anchor."""
        maps = self.maps
        return (maps.mask & (maps.probability > maps.anchor))[0, self.joint].numpy()

    @cached_property
    def facts(self) -> Facts:
        """Numbers of the joint's map."""
        maps, j = self.maps, self.joint
        penalty = maps.penalty[0, j].numpy()
        highest = np.unravel_index(penalty.argmax(), penalty.shape)
        stride = self.output.size // penalty.shape[-1]
        at = self.output.view.crop(self.output.size).inverse((np.array(highest[::-1]) + 0.5) * stride - 0.5)
        return Facts(
            anchor=maps.anchor[0, j].item(),
            penalty=float(penalty[highest]),
            at=(float(at[0]), float(at[1])),
            hard=float(self.hard.sum() / max(maps.mask[0, j].sum().item(), 1)),
            anchor_loss=maps.loss[0, j].mean().item(),
            cross_entropy=maps.cross_entropy[0, j].mean().item(),
        )

    @property
    def truth(self) -> np.ndarray:
        """(2,) float64: the joint's true place, pixels of the model's crop."""
        return self.judged.truth[self.joint]

    def place(self, point: np.ndarray) -> "ExplorerState":
        """Say where the joint truly is.

        Parameters
        ----------
        point : (2,)
            Pixels of the model's crop; outside it, the nearest point on its border is taken.
        """
        view, size = self.output.view, self.output.size
        inside = np.clip(np.asarray(point, np.float64), -0.5, size - 0.5 - 1e-6)
        return self._knowing(view.crop(size).inverse(inside), True)

    def move(self, steps: tuple[float, float]) -> "ExplorerState":
        """Move the joint's true place by pixels of its map, to the right and down."""
        return self.place(self.truth + np.array(steps) * (self.output.size // self.output.maps.shape[-1]))

    def release(self) -> "ExplorerState":
        """Let the model's own peak stand for the truth again."""
        return self._knowing(np.zeros(2), False)

    def _knowing(self, point: np.ndarray, known: bool) -> "ExplorerState":
        view = self.output.view
        joints, knows = view.joints.copy(), view.known.copy()
        joints[self.joint], knows[self.joint] = point, known
        return replace(self, output=replace(self.output, view=replace(view, joints=joints, known=knows)))

    def with_look(self, seen: ModelOutput, rectangle: Rectangle | None) -> "ExplorerState":
        """The scene as it is, but the person seen in another box; joints that were placed stay where they are."""
        view = replace(self.output.view, box=seen.view.box)
        return replace(self, output=replace(seen, view=view), rectangle=rectangle)


def open_state(predictor: Predictor, title: str, image: np.ndarray) -> ExplorerState:
    """Show a photograph to a model, the whole of it as the person's box.

    Parameters
    ----------
    predictor : Predictor
    title : str
    image : (H, W, 3) uint8
        Blue, green, red.
    """
    skeleton = predictor.info.skeleton
    k = len(skeleton)
    view = PersonView(title, image, enclosing(image, None), skeleton, np.zeros((k, 2)), np.zeros(k, bool), "placed by hand")
    return ExplorerState(run_model(predictor, view))


def look_again(predictor: Predictor, scene: ExplorerState, rectangle: Rectangle | None) -> ModelOutput:
    """Show the scene's photograph to the model, with another rectangle around the person.

    Raises
    ------
    BoxError
        If it has no area, is not finite, or lies wholly outside the photograph.
    """
    view = scene.output.view
    return run_model(predictor, replace(view, box=enclosing(view.image, rectangle)))


def enclosing(image: np.ndarray, rectangle: Rectangle | None) -> Box:
    """The box that the model is given, as ``posekit predict`` takes it: a quarter wider than a rectangle."""
    return Box.of_picture(image) if rectangle is None else Box.from_xywh(*rectangle)


def decode_upload(data: bytes, name: str) -> np.ndarray:
    """Decode a photograph that somebody sends, unless it is none or too large.

    Parameters
    ----------
    data : bytes
    name : str
        What errors call it.

    Returns
    -------
    (H, W, 3) uint8, blue, green, red, turned as its EXIF orientation says.

    Raises
    ------
    ImageError
        If it is no whole JPEG, PNG, WebP, BMP or TIFF, or has more than `LARGEST_PICTURE` pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about large pictures, though nothing is decoded here
            with Image.open(io.BytesIO(data), formats=_KINDS) as header:
                pixels = math.prod(header.size)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # what PIL raises for damaged files
        raise ImageError(f"{name}: not a photograph that can be read; choose a JPEG, PNG, WebP, BMP or TIFF file") from None
    if pixels > LARGEST_PICTURE:
        raise ImageError(f"{name}: {pixels:,} pixels are too many; at most {LARGEST_PICTURE:,} can be looked at")
    return decode_image(np.frombuffer(data, np.uint8), name)
