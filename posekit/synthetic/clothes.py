"""Sample the appearance of people: skin, hair, and clothes as textures around the body.

A texture is a (rows, `AROUND`, 3) uint8 array. The first row is the upper end of the body part, the middle column is the front
of the body part, and columns increase toward the person's left. Both arms have the same texture, and so have both legs, so
that textures do not reveal left and right.
"""

from dataclasses import dataclass

import numpy as np

from posekit.images import cv2

AROUND = 64
_FRONT = AROUND // 2
_TRUNK_ROWS = 40
_LIMB_ROWS = 24

# Colours are BGR.
_SKIN_LIGHT = np.array([185.0, 205, 240])
_SKIN_DARK = np.array([62.0, 88, 132])
_HAIR = np.array([[25, 28, 32], [35, 55, 80], [60, 95, 135], [110, 165, 200], [40, 60, 125], [170, 175, 180]])
_HAIR_CONTRAST = 55
_DARK_CLOTH = [[30, 30, 34], [50, 45, 165], [150, 75, 40], [60, 120, 50], [110, 80, 60], [120, 60, 120], [85, 60, 35]]
_LIGHT_CLOTH = [[235, 235, 235], [45, 170, 215], [150, 140, 135], [190, 170, 130], [80, 110, 160]]
_CLOTH = np.array([*_DARK_CLOTH, *_LIGHT_CLOTH])


@dataclass(frozen=True)
class Outfit:
    """Skin, hair and clothes of one person: colours (3,) float64, BGR, and textures (rows, AROUND, 3) uint8."""

    skin: np.ndarray
    hair: np.ndarray
    shoes: np.ndarray
    hat: np.ndarray
    trunk: np.ndarray
    pelvis: np.ndarray
    upper_arm: np.ndarray
    forearm: np.ndarray
    thigh: np.ndarray
    shin: np.ndarray
    looseness: float  # width of clothes relative to the limb
    hat_kind: str  # none, cap (with a brim at the front) or beanie
    hair_kind: str  # short, long, tied (at the back) or bald
    beard: bool
    skirt: bool
    backpack: bool


def draw_outfit(rng: np.random.Generator) -> Outfit:
    """Sample skin, hair and clothes."""
    skin = _SKIN_LIGHT + rng.beta(0.9, 1.1) * (_SKIN_DARK - _SKIN_LIGHT) + rng.normal(0, 6, 3)
    shirt = pattern(rng)
    trousers = pattern(rng, plain=0.75)
    sleeve = rng.choice([0.0, 0.55, 1.0], p=[0.2, 0.4, 0.4])
    leg = rng.choice([0.25, 0.6, 1.0], p=[0.1, 0.3, 0.6])
    bare = np.clip(skin * (1 + 0.03 * rng.standard_normal((_LIMB_ROWS, AROUND, 1))), 0, 255).astype(np.uint8)
    return Outfit(
        skin=skin,
        hair=_hair_colour(rng, skin),
        shoes=cloth_colour(rng),
        hat=cloth_colour(rng),
        trunk=_dressed_trunk(rng, shirt, skin),
        pelvis=trousers[:_LIMB_ROWS].copy(),
        upper_arm=_covered(bare, shirt, sleeve),
        forearm=_covered(bare, shirt, float(sleeve == 1)),
        thigh=_covered(bare, trousers, leg),
        shin=_with_socks(rng, _covered(bare, trousers, float(leg == 1))),
        looseness=rng.uniform(1.0, 1.25),
        hat_kind=str(rng.choice(["none", "cap", "beanie"], p=[0.8, 0.12, 0.08])),
        hair_kind=str(rng.choice(["short", "long", "tied", "bald"], p=[0.5, 0.27, 0.2, 0.03])),
        beard=bool(rng.random() < 0.15),
        skirt=bool(rng.random() < 0.08),
        backpack=bool(rng.random() < 0.1),
    )


def _hair_colour(rng: np.random.Generator, skin: np.ndarray) -> np.ndarray:
    """Sample a colour that contrasts with the skin, so that even small images show which way a person faces."""
    candidates = _HAIR[np.abs(_HAIR - skin).mean(1) > _HAIR_CONTRAST]
    return candidates[rng.integers(len(candidates))] + rng.normal(0, 6, 3)


def cloth_colour(rng: np.random.Generator) -> np.ndarray:
    """Sample a (3,) float64 BGR colour: a common colour of clothes, or sometimes any colour."""
    if rng.random() < 0.7:
        return _CLOTH[rng.integers(len(_CLOTH))] * rng.uniform(0.75, 1.1) + rng.normal(0, 8, 3)
    return rng.uniform(15, 240, 3)


def pattern(rng: np.random.Generator, plain: float = 0.55) -> np.ndarray:
    """Sample a (_TRUNK_ROWS, AROUND, 3) uint8 cloth texture; `plain` is the probability of a cloth without a motif."""
    ground = cloth_colour(rng)
    second = ground + rng.uniform(0.3, 0.9) * (cloth_colour(rng) - ground)
    share = np.zeros((_TRUNK_ROWS, AROUND)) if rng.random() < plain else _motif(rng)
    weave = 1 + rng.uniform(0.02, 0.09) * rng.standard_normal((_TRUNK_ROWS, AROUND))
    cloth = (ground + share[..., None] * (second - ground)) * (weave * _folds(rng))[..., None]
    return np.clip(cloth, 0, 255).astype(np.uint8)


def _motif(rng: np.random.Generator) -> np.ndarray:
    """Sample a motif: a (_TRUNK_ROWS, AROUND) array with the fraction of the second colour, from 0 to 1."""
    rows, columns = np.mgrid[:_TRUNK_ROWS, :AROUND]
    period = int(rng.choice([4, 6, 8, 12]))
    motif = rng.integers(6)
    if motif == 5:  # blotches
        return cv2.resize(rng.random((8, 12)), (AROUND, _TRUNK_ROWS), interpolation=cv2.INTER_LINEAR) > 0.5
    hem = _TRUNK_ROWS * rng.uniform(0.3, 0.7)
    across = 1.0 * (rows % period < period / 2)
    along = 1.0 * (columns % period < period / 2)
    if motif == 0:
        return across
    if motif == 1:
        return along
    if motif == 2:  # checks
        return (across + along) / 2
    if motif == 3:  # dots
        return 1.0 * ((rows % period - period / 2) ** 2 + (columns % period - period / 2) ** 2 < (0.3 * period) ** 2)
    return 1.0 * (rows > hem)


def _folds(rng: np.random.Generator) -> np.ndarray:
    depth = rng.uniform(0.02, 0.14)
    coarse = 1 + depth * rng.standard_normal((9, 9))
    coarse[:, -1] = coarse[:, 0]  # the first and the last column of the texture meet at the back
    return cv2.resize(coarse, (AROUND, _TRUNK_ROWS), interpolation=cv2.INTER_CUBIC)


def _covered(bare: np.ndarray, cloth: np.ndarray, share: float) -> np.ndarray:
    """Return a limb's texture with cloth on the upper part; `share` is the covered fraction."""
    texture = bare.copy()
    end = round(share * len(bare))
    texture[:end] = cloth[:end]
    if 0 < end < len(bare):
        texture[end - 1] //= 2  # the hem
    return texture


def _with_socks(rng: np.random.Generator, shin: np.ndarray) -> np.ndarray:
    if rng.random() < 0.4:
        shin[-int(rng.integers(3, 9)) :] = np.clip(cloth_colour(rng), 0, 255)
    return shin


def _dressed_trunk(rng: np.random.Generator, shirt: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Turn a shirt into the trunk's texture, with details that distinguish front and back."""
    trunk = shirt.copy()
    colour = np.clip(cloth_colour(rng), 0, 255)
    _cut_neckline(rng, trunk, np.clip(skin, 0, 255))
    detail = rng.integers(5)
    if detail == 0:  # buttons
        trunk[6::5, _FRONT - 1 : _FRONT + 1] = colour
    elif detail == 1:  # zip, or an open jacket
        half = int(rng.integers(1, 6))
        trunk[4:, _FRONT - half : _FRONT + half] = colour
    elif detail == 2:  # emblem over the heart
        trunk[9:15, _FRONT + 5 : _FRONT + 11] = colour
    elif detail == 3:  # print on the chest
        trunk[9:20, _FRONT - 9 : _FRONT + 9] = trunk[9:20, _FRONT - 9 : _FRONT + 9] // 3 + colour.astype(np.uint8) // 3 * 2
    if rng.random() < 0.25:  # number on the back
        trunk[10:24, 1:3] = trunk[10:24, -3:-1] = colour
    return trunk


def _cut_neckline(rng: np.random.Generator, trunk: np.ndarray, skin: np.ndarray) -> None:
    depth = int(rng.integers(3, 12))
    width = int(rng.integers(4, 9))
    for row in range(depth):
        half = round(width * (1 - row / depth))
        trunk[row, _FRONT - half : _FRONT + half] = skin
