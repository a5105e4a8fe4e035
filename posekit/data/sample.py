"""One person's crop, as returned by a data loader's worker."""

from dataclasses import dataclass

import numpy as np

from posekit.arrays import require_array


@dataclass(frozen=True)
class Sample:
    """One person's crop.

    Parameters
    ----------
    image : (S, S, 3) uint8
        Red, green, blue.
    joints : (K, 2) float32
        Crop pixels, in the skeleton's order (left and right exchanged if the crop is mirrored).
    labelled : (K,) bool
    index : int
        Index of the person in its `People`.
    channel_gains : (float, float, float)
        Factors on red, green and blue, applied later on the device.
    failure : str, optional
        Why the crop could not be made; it is then black, with no joint labelled.
    """

    image: np.ndarray
    joints: np.ndarray
    labelled: np.ndarray
    index: int
    channel_gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    failure: str | None = None

    def __post_init__(self):
        require_array("image", self.image, ("S", "S", 3), "uint8")
        require_array("joints", self.joints, (len(self.labelled), 2), "float32")
        require_array("labelled", self.labelled, (len(self.labelled),), "bool")


@dataclass(frozen=True)
class Failure:
    """A sample that could not be made: index of its person or image in the data set, and the reason."""

    index: int
    message: str
