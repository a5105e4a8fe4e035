"""State of the explorer: one person before one model, a joint's true place, gamma and the anchor; and the numbers they give."""

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

# Limits of an upload, in bytes and pixels.
MAX_FILE_BYTES, MAX_PIXELS = 32 * 2**20, 64 * 10**6
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")

Rectangle = tuple[float, float, float, float]
"""x, y, width, height in image pixels."""


@dataclass(frozen=True)
class Facts:
    """Numbers of one joint's map.

    Parameters
    ----------
    anchor : float
        q*; NaN for a map without an anchor, whose joint lies outside the crop.
    penalty : float
        Highest penalty of a pixel.
    penalty_at : (float, float)
        Centre of that pixel, image pixels; meaningless if `penalty` is 0.
    hard : float
        Share of the true negatives that score above the anchor.
    anchor_loss, cross_entropy : float
        Anchor loss and binary cross entropy, mean over the map's pixels, as with the losses' ``reduction="mean"``.
    """

    anchor: float
    penalty: float
    penalty_at: tuple[float, float]
    hard: float
    anchor_loss: float
    cross_entropy: float


@dataclass(frozen=True)
class ExplorerState:
    """One person before one model, and the settings of the loss. Immutable: every change returns a new state.

    Parameters
    ----------
    output : ModelOutput
        In its view, only the joints placed by the user are known.
    rectangle : (x, y, width, height), optional
        Rectangle around the person, see `Box.from_xywh`; the whole image by default.
    joint : int
        Joint whose map is shown.
    gamma : float
    anchor : float, optional
        q*; the map's own by default.
    """

    output: ModelOutput
    rectangle: Rectangle | None = None
    joint: int = 0
    gamma: float = 2.0
    anchor: float | None = None

    @property
    def placed(self) -> bool:
        """Whether the user placed the joint; otherwise the model's peak serves as the truth."""
        return bool(self.output.view.known[self.joint])

    @cached_property
    def completed(self) -> ModelOutput:
        """The output with the truth of every joint known: the model's peaks serve as the truth of joints that were not placed."""
        view = self.output.view
        peaks = view.crop(self.output.size).inverse(self.output.predicted.astype(np.float64))
        joints = np.where(view.known[:, None], view.joints, peaks)
        return replace(self.output, view=replace(view, joints=joints, known=np.ones(len(joints), bool)))

    @cached_property
    def maps(self) -> AnchorMaps:
        """The parts of anchor loss on all maps; every tensor (1, K, h, w)."""
        return self.completed.explain(self.gamma, self.anchor)

    @property
    def hard(self) -> np.ndarray:
        """(h, w) bool: true negatives of the joint's map that score above the anchor."""
        hard = self.maps.mask & (self.maps.probability > self.maps.anchor)
        return hard[0, self.joint].numpy()

    @cached_property
    def facts(self) -> Facts:
        """Numbers of the joint's map."""
        maps = self.maps
        joint = self.joint
        penalty = maps.penalty[0, joint].numpy()
        row, column = np.unravel_index(penalty.argmax(), penalty.shape)
        stride = self.output.size // penalty.shape[-1]
        x, y = self.output.view.crop(self.output.size).inverse((np.array([column, row]) + 0.5) * stride - 0.5)
        return Facts(
            anchor=maps.anchor[0, joint].item(),
            penalty=float(penalty[row, column]),
            penalty_at=(float(x), float(y)),
            hard=float(self.hard.sum() / max(maps.mask[0, joint].sum().item(), 1)),
            anchor_loss=maps.loss[0, joint].mean().item(),
            cross_entropy=maps.cross_entropy[0, joint].mean().item(),
        )

    @property
    def truth(self) -> np.ndarray:
        """(2,) float64: the joint's true place, pixels of the model's crop."""
        return self.completed.truth[self.joint]

    def place(self, point: np.ndarray) -> "ExplorerState":
        """Set the joint's true place.

        Parameters
        ----------
        point : (2,)
            Pixels of the model's crop; a point outside is moved to the nearest point on its border.
        """
        size = self.output.size
        inside = np.clip(np.asarray(point, np.float64), -0.5, size - 0.5 - 1e-6)
        return self._with_truth(self.output.view.crop(size).inverse(inside), known=True)

    def move(self, steps: tuple[float, float]) -> "ExplorerState":
        """Move the joint's true place right and down by pixels of its map."""
        stride = self.output.size // self.output.maps.shape[-1]
        return self.place(self.truth + np.array(steps) * stride)

    def release(self) -> "ExplorerState":
        """Let the model's peak serve as the truth again."""
        return self._with_truth(np.zeros(2), known=False)

    def _with_truth(self, point: np.ndarray, *, known: bool) -> "ExplorerState":
        view = self.output.view
        joints = view.joints.copy()
        joints[self.joint] = point
        flags = view.known.copy()
        flags[self.joint] = known
        return replace(self, output=replace(self.output, view=replace(view, joints=joints, known=flags)))

    def with_output(self, output: ModelOutput, rectangle: Rectangle | None) -> "ExplorerState":
        """Take the output for another rectangle; joints that were placed stay where they are."""
        view = replace(self.output.view, box=output.view.box)
        return replace(self, output=replace(output, view=view), rectangle=rectangle)


def open_state(predictor: Predictor, title: str, image: np.ndarray) -> ExplorerState:
    """Run a model on a whole image.

    Parameters
    ----------
    predictor : Predictor
    title : str
    image : (H, W, 3) uint8
        Blue, green, red.
    """
    skeleton = predictor.info.skeleton
    k = len(skeleton)
    view = PersonView(title, image, person_box(image, None), skeleton, np.zeros((k, 2)), np.zeros(k, bool), "placed by hand")
    return ExplorerState(run_model(predictor, view))


def run_on_rectangle(predictor: Predictor, state: ExplorerState, rectangle: Rectangle | None) -> ModelOutput:
    """Run the model on the state's image with another rectangle around the person.

    Raises
    ------
    BoxError
        If the rectangle has no area, is not finite, or lies wholly outside the image.
    """
    view = state.output.view
    return run_model(predictor, replace(view, box=person_box(view.image, rectangle)))


def person_box(image: np.ndarray, rectangle: Rectangle | None) -> Box:
    """Return the model's box as ``posekit predict`` does: a quarter wider than the rectangle, or the whole image."""
    return Box.of_image(image) if rectangle is None else Box.from_xywh(*rectangle)


def decode_upload(data: bytes, name: str) -> np.ndarray:
    """Decode an uploaded image.

    Parameters
    ----------
    data : bytes
    name : str
        Name of the file, for errors.

    Returns
    -------
    (H, W, 3) uint8, blue, green, red, turned according to its EXIF orientation.

    Raises
    ------
    ImageError
        If it is not a complete JPEG, PNG, WebP, BMP or TIFF file, or has more than `MAX_PIXELS` pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about large images, though only the header is read here
            with Image.open(io.BytesIO(data), formats=_FORMATS) as header:
                pixels = math.prod(header.size)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # what PIL raises for damaged files
        raise ImageError(f"{name}: not a readable image; choose a JPEG, PNG, WebP, BMP or TIFF file") from None
    if pixels > MAX_PIXELS:
        raise ImageError(f"{name}: {pixels:,} pixels are too many; at most {MAX_PIXELS:,} are allowed")
    return decode_image(np.frombuffer(data, np.uint8), name)
