"""Signs that labels are read wrongly: from another first pixel, with left and right exchanged, or in another order of joints.

Nothing here knows the truth; each check leans on what holds for people and photographs at large. The
thresholds were found on the real MPII, LSP and LSPET annotations, which pass, and on the same with the
fault put in, which do not.
"""

import itertools

import numpy as np
from scipy.stats import binom

from posekit.data.checks.check_results import BAD, LOOK, OK, CheckResult, percent, some
from posekit.people import People
from posekit.skeletons import Skeleton

# MPII's and LSP's annotators placed these beyond the picture's edge too.
_REACH_OUT = ("head_top", "upper_neck", "neck")
# The widths of the borders, in pixels, in which labels are counted; an estimate this sure ends the search for a wider one.
_BORDERS, _SURE_PX = (5, 10, 20, 40, 80), 0.25
_FEWEST = 100
# Standard errors that a share or a shift must lie from where it would mean nothing.
_CLEAR = 3.0


def coordinate_base(people: People, sizes: np.ndarray) -> CheckResult:
    """ModelOutput for labels that lie one pixel off, as those of a file whose first pixel is 1 and was taken for 0, or the reverse.

    Two signs are read. Photographs may as well be mirrored, so as many labels lie near their left border
    as near their right one; the shift that makes it so is estimated, with its standard error. And where
    annotators could not click outside, labels end sharply at the picture's first pixel.

    Parameters
    ----------
    people : People
    sizes : (N, 2) float64
        Width and height of each person's photograph, NaN where they are not known.
    """
    shift, error = _mirror_shift(people, sizes)
    edges = {name: _strips(people, distances) for name, distances in _edge_distances(people, sizes).items()}
    steps = [_step(counts) for counts in edges.values()]
    signs = {sign for sign in (_decided(shift, error), steps[0], -steps[1] if steps[1] is not None else None) if sign is not None}
    evidence = [f"left and right borders balance {shift:+.2f} ± {error:.2f} px off"] if np.isfinite(error) else []
    evidence += [f"labels 2 px out | 2 px in, {name}: {n[0]} {n[1]} | {n[2]} {n[3]}" for name, n in edges.items() if any(n)]
    verdict, meaning = _base_meaning(signs, enough=np.isfinite(error) or any(map(any, edges.values())))
    return CheckResult(verdict, "coordinate base", f"{meaning} ({'; '.join(evidence) or 'none there at all'})")


def _base_meaning(signs: set[int], *, enough: bool) -> tuple[str, str]:
    if not signs:
        few = "too few labels near the borders of photographs whose size is known"
        return LOOK, f"cannot tell: {'the labels near the borders do not decide' if enough else few}"
    if len(signs) > 1:
        return LOOK, "cannot tell: the signs contradict each other"
    (sign,) = signs
    if sign == 0:
        return OK, "pixels count from 0, as they should"
    where = f"labels lie {abs(sign)} px too far {'right and down' if sign > 0 else 'left and up'}, as it seems"
    if abs(sign) > 1:
        return LOOK, f"{where}: are these the photographs that were annotated?"
    file, taken = (1, 0) if sign > 0 else (0, 1)
    return BAD, f"{where}: the file counts from {file} and was taken to count from {taken}"


def _mirror_shift(people: People, sizes: np.ndarray) -> tuple[float, float]:
    """How far right the labels lie, in pixels, and the standard error of that; infinite where there are too few."""
    widths = sizes[:, :1]
    x = np.where(people.labelled & np.isfinite(widths), people.joints[..., 0], np.nan)
    left, right = x + 0.5, widths - 0.5 - x
    found = [_balance(left, right, border) for border in _BORDERS]
    return next((pair for pair in found if pair[1] <= _SURE_PX), min(found, key=lambda pair: pair[1]))


def _balance(left: np.ndarray, right: np.ndarray, border: int) -> tuple[float, float]:
    near = [(distance > -3) & (distance < border) for distance in (left, right)]
    if sum(map(np.count_nonzero, near)) < _FEWEST:
        return np.nan, np.inf
    surplus = near[0].sum(1) - near[1].sum(1)  # by person: one's joints do not lie independently
    per_px = sum(np.count_nonzero(np.abs(distance - border) < 1) for distance in (left, right)) / 2
    return (-surplus.sum() / per_px, np.sqrt((surplus**2).sum()) / per_px) if per_px else (np.nan, np.inf)


def _decided(shift: float, error: float) -> int | None:
    """The whole shift that the estimate speaks for; None where it might as well be another.

    0 must exclude one pixel. Others must exclude half a pixel, by which labels are off that were measured from pixels' edges.
    """
    if not np.isfinite(error):
        return None
    nearest, doubt = round(shift), _CLEAR * error
    return nearest if (abs(shift) + doubt < 1 if nearest == 0 else abs(shift) - doubt > 0.5) else None


def _edge_distances(people: People, sizes: np.ndarray) -> dict[str, np.ndarray]:
    """Distances of the labels into the picture, from the first and from the last pixels' outer edges."""
    return {"left and top": people.joints + 0.5, "right and bottom": sizes[:, None] - 0.5 - people.joints}


def _strips(people: People, distances: np.ndarray) -> list[int]:
    """Labels in strips of a pixel: two outside the picture, two inside."""
    kept = people.labelled & ~np.isin(people.skeleton.joints, _REACH_OUT)
    return np.histogram(distances[kept], bins=(-2, -1, 0, 1, 2))[0].tolist()


def _step(counts: list[int]) -> int | None:
    """Where labels begin, in pixels from where they should; None where they do not begin sharply."""
    for shift, (outer, inner) in enumerate(itertools.pairwise(counts), -1):
        # A strip must hold surely less than a fifth of the next: labels that merely grow rare towards the border are no sign.
        if binom.cdf(outer, outer + inner, 1 / 6) < 0.01:
            return shift
    return None


def left_and_right(people: People) -> CheckResult:
    """ModelOutput for a set in which left and right are exchanged.

    Most people face the camera, and then the right shoulder of somebody upright is on the picture's left.
    It is for 70 % of MPII's, 67 % of LSP's and 70 % of LSPET's people (the picture being turned so that
    shoulders are above hips).
    """
    widths, lacking = _widths(people)
    if lacking:
        return CheckResult(LOOK, "left and right", lacking)
    known = np.isfinite(widths[0]) & (widths[0] != 0)  # in exact profile nobody faces anything
    n, facing = np.count_nonzero(known), np.count_nonzero(widths[0] > 0)
    shown = f"{percent(facing, n)} of {n:,} persons have the right shoulder on the picture's left, as who faces the camera does"
    if (2 * facing - n) ** 2 < _CLEAR**2 * n or not n:
        return CheckResult(LOOK, "left and right", f"cannot tell: {shown}; about half says nothing")
    if 2 * facing < n:
        # Frames of one video are one person's back many times.
        verdict = BAD if len(np.unique(people.image_paths[known])) >= _FEWEST else LOOK
        why = "left and right, which must be the person's own, are exchanged, or most are seen from behind"
        return CheckResult(verdict, "left and right", f"only {shown}: {why}")
    return CheckResult(OK, "left and right", shown)


def shoulders_and_hips(people: People) -> CheckResult:
    """ModelOutput for persons whose shoulders and hips disagree about which side faces the camera, though both are seen broadly.

    People can twist, but seldom so far: 1.5 % do in MPII, 1.4 % in LSP, and 3.7 % in LSPET, whose labels have exchanged sides.
    """
    widths, lacking = _widths(people)
    if lacking:
        return CheckResult(LOOK, "shoulders and hips", lacking)
    shoulders, hips = widths
    broad = (np.abs(shoulders) > 0.3) & (np.abs(hips) > 0.18)
    twisted = np.flatnonzero(broad & (shoulders * hips < 0))
    n = np.count_nonzero(broad)
    message = f"{len(twisted):,} of {n:,} persons seen broadly ({percent(len(twisted), n)}) have them in opposite order"
    if len(twisted):
        message += f": persons {some(twisted.tolist())}"
    most = 2 * len(twisted) - n >= _CLEAR * np.sqrt(n) > 0
    verdict = BAD if most else OK if len(twisted) <= 0.05 * n else LOOK
    if verdict != OK:
        message += "; are left and right exchanged in one of them?"
    return CheckResult(verdict, "shoulders and hips", message, tuple(twisted.tolist()))


def _widths(people: People) -> tuple[np.ndarray, str]:
    """(2, N) widths of shoulders and hips across the torso, in torso lengths, above 0 for who faces the camera; or why not."""
    names = ("right_shoulder", "left_shoulder", "right_hip", "left_hip")
    lacking = [name for name in names if name not in people.skeleton.joints]
    if lacking:
        return np.empty((2, 0)), f"cannot tell: skeleton {people.skeleton.name} has no {', '.join(lacking)}"
    indices = [people.skeleton.index(name) for name in names]
    right_shoulder, left_shoulder, right_hip, left_hip = people.joints[:, indices].transpose(1, 0, 2)
    up = (right_shoulder + left_shoulder - right_hip - left_hip) / 2
    length = np.where(people.labelled[:, indices].all(1), (up**2).sum(1), np.nan)
    length[length == 0] = np.nan
    return np.array([_cross(up, right_left) / length for right_left in (left_shoulder - right_shoulder, left_hip - right_hip)]), ""


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


# "A B C": in most people joint A is nearer to B than to C. With a side's joints plain, and the other side's after "other".
_RULES = """
    shoulder elbow wrist, wrist elbow shoulder, wrist elbow ankle, elbow shoulder knee,
    hip knee ankle, ankle knee hip, knee hip shoulder, hip other-hip shoulder, shoulder other-shoulder hip,
    elbow shoulder other-shoulder, wrist elbow other-elbow, knee hip other-hip, ankle knee other-knee, hip shoulder other-shoulder,
    shoulder neck head_top, head_top neck shoulder, neck shoulder hip, neck head_top hip,
    shoulder upper_neck head_top, head_top upper_neck shoulder, upper_neck shoulder hip, upper_neck head_top hip,
    shoulder thorax upper_neck, shoulder thorax pelvis, hip pelvis thorax, pelvis hip shoulder,
    nose eye shoulder, eye nose shoulder, ear eye shoulder, nose shoulder hip
"""
_PAIRED = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "eye", "ear")


def joint_order(people: People) -> CheckResult:
    """ModelOutput for joints that are read in another order than the file's: limbs that join what lies far apart.

    Some sixty rules of the kind "the right wrist is nearer to the right elbow than to the right ankle" are
    tried. Each whose joints MPII, LSP and LSPET have holds for at least 71 % of their people; where joints
    stand in another's place, some hold for fewer than 30 %. Those about COCO's faces are plain anatomy, not measured.
    """
    rules = _rules(people.skeleton)
    if not rules:
        return CheckResult(
            LOOK, "joint order", f"cannot tell: nothing is known about the joints of skeleton {people.skeleton.name}"
        )
    held = [(*_held(people, rule), rule) for rule in rules]
    held = sorted((each for each in held if each[1]), key=lambda each: each[0] / each[1])
    margins = [(2 * kept - n) / np.sqrt(n) for kept, n, _ in held]  # standard errors above half
    broken, unsure = (np.count_nonzero(np.array(margins) < limit) for limit in (-_CLEAR, _CLEAR))
    if not unsure and held:
        return CheckResult(OK, "joint order", f"{len(held)} rules about near joints hold; the weakest: {_rule_text(*held[0])}")
    if not broken:
        few = f"for {unsure} of {len(held)} rules about near joints there are too few persons"
        return CheckResult(LOOK, "joint order", f"cannot tell: {few}")
    message = f"{broken} of {len(held)} rules about near joints are broken; the worst: {_rule_text(*held[0])}"
    return CheckResult(BAD, "joint order", f"{message}; do the joints stand in the order that is expected?")


def _rule_text(kept: int, n: int, rule: tuple[str, str, str]) -> str:
    return f"{rule[0]} is nearer to {rule[1]} than to {rule[2]} for {percent(kept, n)} of {n:,}"


def _rules(skeleton: Skeleton) -> list[tuple[str, str, str]]:
    """The rules about joints that a skeleton has, by their names."""
    rules = [rule.split() for rule in _RULES.split(",")]
    named = (tuple(_on_side(part, *sides) for part in rule) for rule in rules for sides in (("left", "right"), ("right", "left")))
    return [rule for rule in dict.fromkeys(named) if set(rule) <= set(skeleton.joints)]


def _on_side(part: str, side: str, other: str) -> str:
    if part.startswith("other-"):
        return f"{other}_{part.removeprefix('other-')}"
    return f"{side}_{part}" if part in _PAIRED else part


def _held(people: People, rule: tuple[str, str, str]) -> tuple[int, int]:
    """For how many persons a rule holds, and how many have its three joints."""
    a, b, c = (people.skeleton.index(joint) for joint in rule)
    joints = people.joints[people.labelled[:, [a, b, c]].all(1)]
    near, far = (((joints[:, a] - joints[:, end]) ** 2).sum(-1) for end in (b, c))
    return np.count_nonzero(near < far), len(joints)
