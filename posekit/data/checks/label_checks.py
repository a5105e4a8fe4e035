"""Check for wrongly loaded labels: coordinates that are one pixel off, swapped left and right, or a wrong joint order.

The checks need no ground truth: each check relies on statistics that hold for most people and images. The thresholds were chosen so
that the MPII, LSP and LSPET annotations pass, and that these annotations fail after any of the errors has been inserted.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from posekit.data.checks import BAD, LOOK, OK, CheckResult, first_few, percent
from posekit.people import People
from posekit.skeletons import Skeleton

_BEYOND_EDGE = ("head_top", "upper_neck", "neck")  # joints that the annotators of MPII and LSP also placed outside the image
_BORDERS_PX = (5, 10, 20, 40, 80)  # widths of the border strips in which labels are counted, tried in this order
_SURE_PX = 0.25  # wider strips are not tried once the standard error of the shift is this small
_FEWEST = 100  # minimum number of labels near the borders, or of images, for a conclusion
_CLEAR = 3.0  # minimum difference from the undecided value, in standard errors, for a conclusion
_TORSO = ("right_shoulder", "left_shoulder", "right_hip", "left_hip")


def check_coordinate_base(people: People, sizes: np.ndarray) -> CheckResult:
    """Check for labels that are one pixel off, because 1-based pixels are loaded as 0-based, or the reverse.

    The check uses two kinds of evidence. First, about as many labels should lie near the left border as near the right border; the
    check estimates the shift that makes the two numbers equal, and the standard error of the shift. Second, if annotators could not
    click outside the image, correctly loaded labels start exactly at the first pixel and end exactly at the last pixel.
    `sizes` (N, 2) are the width and height of each person's image, NaN where unknown.
    """
    shift, error = _mirror_shift(people, sizes)
    strips = {
        "left and top": _count_strips(people, people.joints + 0.5),
        "right and bottom": _count_strips(people, sizes[:, None] - 0.5 - people.joints),
    }
    first_step = _find_step(strips["left and top"])
    last_step = _find_step(strips["right and bottom"])
    candidates = (_whole_shift(shift, error), first_step, None if last_step is None else -last_step)
    estimates = {candidate for candidate in candidates if candidate is not None}
    evidence = []
    if np.isfinite(error):
        evidence.append(f"estimated shift of the labels to the right: {shift:+.2f} ± {error:.2f} px")
    for name, counts in strips.items():
        if any(counts):
            numbers = f"{counts[0]} {counts[1]} | {counts[2]} {counts[3]}"
            evidence.append(f"labels per strip of 1 px (two strips outside | two inside the image), {name}: {numbers}")
    subject = "coordinate base"
    details = f"({'; '.join(evidence) or 'no evidence'})"
    if not estimates:
        reason = "labels near the borders are not conclusive" if evidence else "too few labels near borders of images of known size"
        return CheckResult(LOOK, subject, f"undecided: {reason} {details}")
    if len(estimates) > 1:
        return CheckResult(LOOK, subject, f"undecided: the evidence is contradictory {details}")
    verdict, meaning = _describe_shift(estimates.pop())
    return CheckResult(verdict, subject, f"{meaning} {details}")


def _describe_shift(shift: int) -> tuple[str, str]:
    if shift == 0:
        return OK, "pixels count from 0, as expected"
    direction = "right and down" if shift > 0 else "left and up"
    message = f"labels seem to lie {abs(shift)} px too far {direction}"
    if abs(shift) > 1:
        return LOOK, f"{message}: check that these are the annotated images, at their original size"
    file_base, read_base = (1, 0) if shift > 0 else (0, 1)
    return BAD, f"{message}: the pixels in the file are {file_base}-based, but are loaded as {read_base}-based"


def _mirror_shift(people: People, sizes: np.ndarray) -> tuple[float, float]:
    """Estimate by how many pixels the labels lie too far right, and the standard error, which is infinite for too few labels."""
    widths = sizes[:, :1]
    x = np.where(people.labelled & np.isfinite(widths), people.joints[..., 0], np.nan)
    best_shift, best_error = np.nan, np.inf
    for border in _BORDERS_PX:
        shift, error = _balance(x + 0.5, widths - 0.5 - x, border)
        if error < best_error:
            best_shift, best_error = shift, error
        if error <= _SURE_PX:
            break
    return best_shift, best_error


def _balance(left: np.ndarray, right: np.ndarray, border: int) -> tuple[float, float]:
    """Estimate the shift as in `_mirror_shift` from the labels less than `border` px from the left and right image edges."""
    near_left = (left > -3) & (left < border)
    near_right = (right > -3) & (right < border)
    labels_per_px = (np.count_nonzero(np.abs(left - border) < 1) + np.count_nonzero(np.abs(right - border) < 1)) / 2
    if not labels_per_px or np.count_nonzero(near_left) + np.count_nonzero(near_right) < _FEWEST:
        return np.nan, np.inf
    surplus = near_left.sum(1) - near_right.sum(1)  # per person, because the joints of one person are not independent
    return -surplus.sum() / labels_per_px, np.sqrt((surplus**2).sum()) / labels_per_px


def _whole_shift(shift: float, error: float) -> int | None:
    """Round an estimated shift to whole pixels; None if the estimate is too uncertain.

    For a shift of 0, the estimate must differ significantly from ±1 pixel. Other estimates must be significantly larger than half a
    pixel, which is the shift of labels that are measured from pixel edges.
    """
    if not np.isfinite(error):
        return None
    nearest = round(shift)
    doubt = _CLEAR * error
    is_clear = abs(shift) + doubt < 1 if nearest == 0 else abs(shift) - doubt > 0.5
    return nearest if is_clear else None


def _count_strips(people: People, distances: np.ndarray) -> list[int]:
    """Count the labels in four strips along an image edge, each one pixel wide: two outside and two inside the image."""
    counted = people.labelled & ~np.isin(people.skeleton.joints, _BEYOND_EDGE)
    return np.histogram(distances[counted], bins=(-2, -1, 0, 1, 2))[0].tolist()


def _find_step(counts: list[int]) -> int | None:
    """Return where labels start, in pixels inwards from the image edge (-1: one pixel outside); None if unclear.

    `counts` are the numbers of labels in the strips of `_count_strips`, from outside to inside.
    """
    for shift, (outer, inner) in enumerate(itertools.pairwise(counts), -1):
        # Labels start where a strip has significantly fewer labels than 1/5 of the next strip, not where they decrease gradually.
        if binom.cdf(outer, outer + inner, 1 / 6) < 0.01:
            return shift
    return None


def check_left_right(people: People) -> CheckResult:
    """Check that left and right are not swapped.

    Most people face the camera, and an upright person who faces the camera has the right shoulder on the left side of the image.
    If each person is rotated upright (shoulders above hips), the right shoulder is on the left side for 70 % of the people in MPII,
    67 % in LSP and 70 % in LSPET.
    """
    subject = "left and right"
    missing = _missing_torso_joints(people.skeleton)
    if missing:
        return CheckResult(LOOK, subject, missing)
    shoulders, _ = _torso_widths(people)
    known = np.isfinite(shoulders) & (shoulders != 0)  # a person in exact profile faces neither way
    n_known = int(np.count_nonzero(known))
    n_facing = int(np.count_nonzero(shoulders > 0))
    share = f"{percent(n_facing, n_known)} of {n_known:,} people have the right shoulder on the left, as if facing the camera"
    if (2 * n_facing - n_known) ** 2 < _CLEAR**2 * n_known or not n_known:
        return CheckResult(LOOK, subject, f"undecided: {share}; about 50 % is not conclusive")
    if 2 * n_facing > n_known:
        return CheckResult(OK, subject, share)
    # A few images, for example the frames of one video, may show all people from behind.
    n_images = len(np.unique(people.image_paths[known]))
    reason = "left and right (from the person's own view) are swapped, or most people are seen from behind"
    return CheckResult(BAD if n_images >= _FEWEST else LOOK, subject, f"only {share}: {reason}")


def check_shoulders_hips(people: People) -> CheckResult:
    """Check for people whose shoulders face the camera while the hips face away, or the reverse.

    Only people whose shoulders and hips are both wide in the image are checked. Few of these people are twisted in this way: 1.5 %
    in MPII, 1.4 % in LSP, and 3.7 % in LSPET, which contains some swapped labels.
    """
    subject = "shoulders and hips"
    missing = _missing_torso_joints(people.skeleton)
    if missing:
        return CheckResult(LOOK, subject, missing)
    shoulders, hips = _torso_widths(people)
    broad = (np.abs(shoulders) > 0.3) & (np.abs(hips) > 0.18)
    twisted = np.flatnonzero(broad & (shoulders * hips < 0)).tolist()
    n_broad = int(np.count_nonzero(broad))
    message = (
        f"{len(twisted):,} of {n_broad:,} people with wide shoulders and hips in the image "
        f"({percent(len(twisted), n_broad)}) have the left shoulder and the left hip on opposite sides"
    )
    if twisted:
        message += f": people {first_few(twisted)}"
    if len(twisted) <= 0.05 * n_broad:
        return CheckResult(OK, subject, message, tuple(twisted))
    is_majority = 2 * len(twisted) - n_broad >= _CLEAR * np.sqrt(n_broad)
    message += "; check that left and right are not swapped for the shoulders or the hips"
    return CheckResult(BAD if is_majority else LOOK, subject, message, tuple(twisted))


def _missing_torso_joints(skeleton: Skeleton) -> str:
    missing = [joint for joint in _TORSO if joint not in skeleton.joints]
    return f"undecided: skeleton {skeleton.name} has no {', '.join(missing)}" if missing else ""


def _torso_widths(people: People) -> tuple[np.ndarray, np.ndarray]:
    """Return two (N,) arrays: widths of shoulders and hips across the torso, in torso lengths; positive if facing the camera."""
    indices = [people.skeleton.index(joint) for joint in _TORSO]
    right_shoulder, left_shoulder, right_hip, left_hip = people.joints[:, indices].transpose(1, 0, 2)
    up = (right_shoulder + left_shoulder - right_hip - left_hip) / 2
    squared_length = np.where(people.labelled[:, indices].all(1), (up**2).sum(1), np.nan)
    squared_length[squared_length == 0] = np.nan
    return _cross(up, left_shoulder - right_shoulder) / squared_length, _cross(up, left_hip - right_hip) / squared_length


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


# "A B C": in most people joint A is nearer to B than to C. Each rule is used for left and right; "other-" is the opposite side.
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
Rule = tuple[str, str, str]


@dataclass(frozen=True)
class _RuleCount:
    """A rule, the number of people for whom the rule holds, and the number of people with all three joints of the rule."""

    rule: Rule
    kept: int
    total: int

    @property
    def margin(self) -> float:
        """Number of standard errors by which the fraction of people for whom the rule holds exceeds 1/2."""
        return (2 * self.kept - self.total) / np.sqrt(self.total)

    def __str__(self) -> str:
        joint, near, far = self.rule
        return f"{joint} is nearer to {near} than to {far} for {percent(self.kept, self.total)} of {self.total:,}"


def check_joint_order(people: People) -> CheckResult:
    """Check that the joints are in the expected order; in a wrong order, neighbouring joints are far apart.

    The check tries about 60 rules such as "the right wrist is nearer to the right elbow than to the right ankle". In MPII, LSP
    and LSPET each rule holds for at least 71 % of the people; if joints are swapped, some rules hold for less than 30 %. The rules
    about the face joints of COCO follow from anatomy and were not measured.
    """
    subject = "joint order"
    rules = _rules(people.skeleton)
    if not rules:
        return CheckResult(LOOK, subject, f"undecided: there are no rules for the joints of skeleton {people.skeleton.name}")
    counts = [_count_rule(people, rule) for rule in rules]
    counts = sorted((count for count in counts if count.total), key=lambda count: count.kept / count.total)
    n_broken = sum(count.margin < -_CLEAR for count in counts)
    n_unsure = sum(count.margin < _CLEAR for count in counts)
    if counts and not n_unsure:
        return CheckResult(OK, subject, f"all {len(counts)} rules about joint distances hold; the weakest rule: {counts[0]}")
    if not n_broken:
        return CheckResult(
            LOOK, subject, f"undecided: too few people for {n_unsure} of the {len(counts)} rules about joint distances"
        )
    message = f"{n_broken} of the {len(counts)} rules about joint distances do not hold; the worst rule: {counts[0]}"
    return CheckResult(BAD, subject, f"{message}; check the order of the joints")


def _rules(skeleton: Skeleton) -> list[Rule]:
    """Return the rules of `_RULES` for both sides, without rules about joints that the skeleton lacks."""
    rules: dict[Rule, None] = {}  # a dict removes duplicates: rules about unpaired joints are the same for both sides
    for text in _RULES.split(","):
        joint, near, far = text.split()
        for side, other in (("left", "right"), ("right", "left")):
            rules[_on_side(joint, side, other), _on_side(near, side, other), _on_side(far, side, other)] = None
    return [rule for rule in rules if set(rule) <= set(skeleton.joints)]


def _on_side(part: str, side: str, other: str) -> str:
    if part.startswith("other-"):
        return f"{other}_{part.removeprefix('other-')}"
    return f"{side}_{part}" if part in _PAIRED else part


def _count_rule(people: People, rule: Rule) -> _RuleCount:
    indices = [people.skeleton.index(joint) for joint in rule]
    complete = people.labelled[:, indices].all(1)
    joint, near, far = people.joints[complete][:, indices].transpose(1, 0, 2)
    is_kept = ((joint - near) ** 2).sum(-1) < ((joint - far) ** 2).sum(-1)
    return _RuleCount(rule, int(np.count_nonzero(is_kept)), len(joint))
