"""State of the explorer (model output for one person, shown joint, gamma, anchor), and decoding of uploaded images."""

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

# Limits of an uploaded image.
MAX_FILE_BYTES, MAX_PIXELS = 32 * 2**20, 64 * 10**6
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")

Rectangle = tuple[float, float, float, float]
"""x, y, width, height in image pixels."""


@dataclass(frozen=True)
class Facts:
    """Numbers of one joint's heatmap.

    Parameters
    ----------
    anchor : float
        q*; NaN if the joint lies outside the crop, so that the heatmap has no anchor.
    penalty : float
        Highest penalty of any pixel.
    penalty_at : (float, float)
        Centre of the pixel with the highest penalty, in image pixels; undefined if `penalty` is 0.
    hard : float
        Fraction of the true negatives with a probability above the anchor.
    anchor_loss, cross_entropy : float
        Anchor loss and binary cross entropy, each averaged over the heatmap's pixels as with ``reduction="mean"``.
    """

    anchor: float
    penalty: float
    penalty_at: tuple[float, float]
    hard: float
    anchor_loss: float
    cross_entropy: float


@dataclass(frozen=True)
class ExplorerState:
    """A model's output for one person, and the settings of the loss. Immutable: every change returns a new state.

    Parameters
    ----------
    output : ModelOutput
        The model's output; in ``output.view``, only the joints placed by the user are marked as known.
    rectangle : (x, y, width, height), optional
        Rectangle around the person, see `Box.from_xywh`; default: the whole image.
    joint : int
        Index of the joint whose heatmap is shown.
    gamma : float
        Focusing exponent of anchor loss.
    anchor : float, optional
        q*; default: computed from the heatmap.
    """

    output: ModelOutput
    rectangle: Rectangle | None = None
    joint: int = 0
    gamma: float = 2.0
    anchor: float | None = None

    @property
    def placed(self) -> bool:
        """Whether the user placed the shown joint. If not, the peak of the model's heatmap is used as the true position."""
        return bool(self.output.view.known[self.joint])

    @property
    def shown_rectangle(self) -> Rectangle:
        """The rectangle around the person; by default the whole image."""
        height, width = self.output.view.image.shape[:2]
        return self.rectangle or (0.0, 0.0, float(width), float(height))

    @cached_property
    def completed(self) -> ModelOutput:
        """The output with a true position for every joint: the model's peak for joints that the user did not place."""
        view = self.output.view
        peaks = view.crop(self.output.size).inverse(self.output.predicted.astype(np.float64))
        joints = np.where(view.known[:, None], view.joints, peaks)
        return replace(self.output, view=replace(view, joints=joints, known=np.ones(len(joints), bool)))

    @cached_property
    def maps(self) -> AnchorMaps:
        """The terms of anchor loss for all K heatmaps; every tensor has the shape (1, K, h, w)."""
        return self.completed.explain(self.gamma, self.anchor)

    @property
    def hard(self) -> np.ndarray:
        """(h, w) bool array, True where a true negative of the shown joint has a probability above the anchor."""
        hard = self.maps.mask & (self.maps.probability > self.maps.anchor)
        return hard[0, self.joint].numpy()

    @cached_property
    def facts(self) -> Facts:
        """Numbers of the shown joint's heatmap."""
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
        """(2,) float64: true position (x, y) of the shown joint, in pixels of the model's crop."""
        return self.completed.truth[self.joint]

    def place(self, point: np.ndarray) -> "ExplorerState":
        """Return the state with the shown joint at a point (x, y) in pixels of the model's crop, clipped to the crop."""
        size = self.output.size
        inside = np.clip(np.asarray(point, np.float64), -0.5, size - 0.5 - 1e-6)
        return self._with_truth(self.output.view.crop(size).inverse(inside), known=True)

    def move(self, steps: tuple[float, float]) -> "ExplorerState":
        """Return the state with the shown joint moved by (right, down) pixels of the heatmap."""
        stride = self.output.size // self.output.maps.shape[-1]
        return self.place(self.truth + np.array(steps) * stride)

    def release(self) -> "ExplorerState":
        """Return the state with the model's peak as the true position of the shown joint again."""
        return self._with_truth(np.zeros(2), known=False)

    def _with_truth(self, point: np.ndarray, *, known: bool) -> "ExplorerState":
        view = self.output.view
        joints = view.joints.copy()
        joints[self.joint] = point
        flags = view.known.copy()
        flags[self.joint] = known
        return replace(self, output=replace(self.output, view=replace(view, joints=joints, known=flags)))

    def with_output(self, output: ModelOutput, rectangle: Rectangle | None) -> "ExplorerState":
        """Return the state with the output for another rectangle; joints placed by the user keep their position in the image."""
        view = replace(self.output.view, box=output.view.box)
        return replace(self, output=replace(output, view=view), rectangle=rectangle)


def open_state(predictor: Predictor, title: str, image: np.ndarray) -> ExplorerState:
    """Run a model on a whole image, (H, W, 3) uint8 BGR; `title` is the name of the image on the page."""
    skeleton = predictor.info.skeleton
    k = len(skeleton)
    view = PersonView(title, image, person_box(image, None), skeleton, np.zeros((k, 2)), np.zeros(k, bool), "placed by hand")
    return ExplorerState(run_model(predictor, view))


def run_on_rectangle(predictor: Predictor, state: ExplorerState, rectangle: Rectangle | None) -> ModelOutput:
    """Run the model on the state's image with another rectangle around the person; raises `BoxError` for an invalid rectangle."""
    view = state.output.view
    return run_model(predictor, replace(view, box=person_box(view.image, rectangle)))


def person_box(image: np.ndarray, rectangle: Rectangle | None) -> Box:
    """Return the same box as ``posekit predict``: a quarter larger than the rectangle; without a rectangle, the whole image."""
    return Box.of_image(image) if rectangle is None else Box.from_xywh(*rectangle)


def decode_upload(data: bytes, name: str) -> np.ndarray:
    """Decode an uploaded image; `name` is the file name, for error messages.

    Returns
    -------
    (H, W, 3) uint8 : BGR image, rotated according to the EXIF orientation.

    Raises
    ------
    ImageError
        If the data is not a complete JPEG, PNG, WebP, BMP or TIFF file, or the image has more than `MAX_PIXELS` pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PIL warns about large images, but only the header is read here
            with Image.open(io.BytesIO(data), formats=_FORMATS) as header:
                pixels = math.prod(header.size)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # raised by PIL for damaged files
        raise ImageError(f"{name}: not a readable image; choose a JPEG, PNG, WebP, BMP or TIFF file") from None
    if pixels > MAX_PIXELS:
        raise ImageError(f"{name}: the image has {pixels:,} pixels, at most {MAX_PIXELS:,} are allowed; choose a smaller image")
    return decode_image(np.frombuffer(data, np.uint8), name)
