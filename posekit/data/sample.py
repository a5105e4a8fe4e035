"""The crop of one person, as returned by a DataLoader worker."""

from dataclasses import dataclass

import numpy as np

from posekit.arrays import require_array


@dataclass(frozen=True)
class Sample:
    """The crop of one person.

    Parameters
    ----------
    image : (S, S, 3) uint8
        RGB.
    joints : (K, 2) float32
        Crop pixels, in the joint order of the skeleton; left and right joints are swapped if the crop is mirrored.
    labelled : (K,) bool
        True where the joint is labelled.
    index : int
        Index of the person in the data set.
    channel_gains : (float, float, float)
        Factors for the red, green and blue channel, applied later on the GPU or other device.
    failure : str, optional
        Why the crop could not be made; the crop is then black and has no labelled joint.
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
    """A sample that could not be made: the index of the person or image in the data set, and the reason."""

    index: int
    message: str
