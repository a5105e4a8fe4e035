"""Rendered people, written as genuine MPII, LSP or LSPET files: the data set that is always there.

What is hard in photographs is kept: the left and the right limb of a person look alike, and only the
face, the feet, the chest and the way joints bend tell them apart; limbs hide each other; other people
and limb-like things stand around. Everything follows from a seed.
"""

from posekit.datasets.synthetic.scene import Figure, Scene, render_scene
from posekit.datasets.synthetic.write import FORMATS, write_synthetic

__all__ = ["FORMATS", "Figure", "Scene", "render_scene", "write_synthetic"]
