"""Check, before training, that a data set is complete, that its splits share no images, and that the labels fit the images."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from posekit.data.checks import BAD, LOOK, OK, CheckResult, first_few, percent
from posekit.data.checks.label_checks import check_coordinate_base, check_joint_order, check_left_right, check_shoulders_hips
from posekit.images import ImageHeaders, read_headers
from posekit.metrics import torso_sizes
from posekit.people import People

# Number of people in the published data sets; the splits of MPII are from Tompson et al. (CVPR 2015).
_PUBLISHED_COUNTS = {
    ("mpii", "train"): 22_246,
    ("mpii", "valid"): 2_958,
    ("lsp", "train"): 1_000,
    ("lsp", "test"): 1_000,
    ("lsp", "all"): 2_000,
    ("lspet", "train"): 10_000,
    ("lspet", "all"): 10_000,
}
_TOLERATED_SHARE = 0.01  # training stops if the images of a larger share of the people cannot be read


def check(splits: Mapping[str, People], headers: ImageHeaders | None = None, *, known_counts: bool = True) -> list[CheckResult]:
    """Check the people of each split, then each pair of splits.

    Parameters
    ----------
    splits : mapping of str to People
        The people of each split, by split name.
    headers : ImageHeaders, optional
        Headers of the images; read from the files by default.
    known_counts : bool
        Whether to compare the number of people with the published data set; use False for a synthetic data set.
    """
    if headers is None:
        headers = read_headers(path for people in splits.values() for path in people.image_paths)
    results = []
    for name, people in splits.items():
        results += [replace(result, split=name) for result in _check_split(people, headers, known_counts)]
    for (name, people), (other_name, other) in itertools.combinations(splits.items(), 2):
        results.append(replace(_check_shared_images(people, other), split=f"{name}, {other_name}"))
    return results


def _check_split(people: People, headers: ImageHeaders, known_counts: bool) -> list[CheckResult]:
    sizes = headers.sizes_of(people.image_paths)
    return [
        _check_count(people, known_counts),
        _check_repeated(people),
        _check_images(people, headers),
        _check_outside(people, sizes),
        _check_limits(people, sizes),
        *_check_reference_sizes(people),
        check_coordinate_base(people, sizes),
        check_left_right(people),
        check_shoulders_hips(people),
        check_joint_order(people),
    ]


def _check_count(people: People, known_counts: bool) -> CheckResult:
    message = f"{len(people):,}"
    if people.left_out:
        message += "; left out: " + ", ".join(f"{count:,} {reason}" for reason, count in people.left_out.items())
    published = _PUBLISHED_COUNTS.get((people.name, people.split))
    if (people.name, people.split) == ("mpii", "all") and "mpii_annotations.json" in people.box_source:
        published = 25_204  # only this annotation file of MPII contains exactly the people of the two splits
    if published is None or not known_counts:
        return CheckResult(OK, "people", message)
    if len(people) == published:
        return CheckResult(OK, "people", f"{message}, as published")
    return CheckResult(LOOK, "people", f"{message}; the published data set has {published:,} people")


def _check_repeated(people: People) -> CheckResult:
    """Check for duplicate people, with the same joints in the same image."""
    seen = set()
    repeated = []
    for index, (path, joints) in enumerate(zip(people.image_paths.tolist(), people.joints, strict=True)):
        key = (path, joints.tobytes())
        if key in seen:
            repeated.append(index)
        seen.add(key)
    if not repeated:
        return CheckResult(OK, "repeated people", "none")
    message = f"{len(repeated):,} people have the image and joints of an earlier person: people {first_few(repeated)}"
    return CheckResult(LOOK, "repeated people", message, tuple(repeated))


def _check_images(people: People, headers: ImageHeaders) -> CheckResult:
    paths = set(people.image_paths.tolist())
    missing = [path for path in headers.missing if path in paths]
    unreadable = [path for path in headers.unreadable if path in paths]
    n_affected = int(np.count_nonzero(np.isin(people.image_paths, missing + unreadable)))
    message = f"{len(paths):,} files, {_count_files(missing, 'missing')}, {_count_files(unreadable, 'unreadable')}"
    if not n_affected:
        return CheckResult(OK, "images", message)
    message += f"; {n_affected:,} people are affected; expected folder of the images: {Path(people.image_paths[0]).parent}"
    verdict = LOOK if n_affected <= _TOLERATED_SHARE * len(people) else BAD
    return CheckResult(verdict, "images", message)


def _count_files(paths: list[str], state: str) -> str:
    names = f" ({first_few([Path(path).name for path in paths])})" if paths else ""
    return f"{len(paths):,} {state}{names}"


def _check_outside(people: People, sizes: np.ndarray) -> CheckResult:
    """Check for labelled joints outside the image; if the image size is unknown, only the left and top edges are checked."""
    distance = np.fmax(-0.5 - people.joints, people.joints - (sizes[:, None] - 0.5)).max(-1)
    distance = np.where(people.labelled, distance, -np.inf)
    outside = distance > 0
    n_outside = int(np.count_nonzero(outside))
    n_labelled = int(np.count_nonzero(people.labelled))
    n_unknown = int(np.count_nonzero(np.isnan(sizes[:, 0])))
    message = f"{n_outside:,} of {n_labelled:,} labelled joints ({percent(n_outside, n_labelled)})"
    if n_outside:
        person, joint = np.unravel_index(distance.argmax(), distance.shape)
        image = Path(people.image_paths[person]).name
        message += f"; the farthest: {people.skeleton.joints[joint]} of person {person} ({image}), {distance.max():.1f} px outside"
    if n_unknown:
        message += f"; right and bottom edges were not checked for {n_unknown:,} people (unknown image size)"
    verdict = LOOK if n_outside <= _TOLERATED_SHARE * n_labelled else BAD
    if not n_outside and not n_unknown:
        verdict = OK
    return CheckResult(verdict, "joints outside", message, tuple(np.flatnonzero(outside.any(1)).tolist()))


def _check_limits(people: People, sizes: np.ndarray) -> CheckResult:
    """Check for labelled joints exactly at an image border, whose coordinates may be clipped, or missing and stored as 0."""
    limits = {"-1": -1, "0": 0, "the last pixel": sizes[:, None] - 1}
    counts = []
    for name, limit in limits.items():
        at_limit = ((people.joints == limit) & people.labelled[..., None]).any(-1)
        counts.append(f"{np.count_nonzero(at_limit):,} at {name}")
    message = "labelled joints with x or y exactly at a limit: " + ", ".join(counts)
    lost = ((people.joints == -1) & people.labelled[..., None]).any((1, 2))
    persons = tuple(np.flatnonzero(lost).tolist())
    if persons:
        message += f"; -1 may be a missing coordinate (stored as 0 in a file with 1-based pixels): people {first_few(persons)}"
    return CheckResult(LOOK if persons else OK, "joints at limits", message, persons)


def _check_reference_sizes(people: People) -> list[CheckResult]:
    """Check the reference sizes by which scores divide errors: head sizes if the data set has any, otherwise torso sizes."""
    if (people.head_sizes > 0).any():
        return [_check_head_boxes(people)]
    if people.name == "mpii":
        return [_check_head_boxes(people), _check_torsos(people)]
    return [_check_torsos(people)]


def _check_head_boxes(people: People) -> CheckResult:
    lacking = tuple(np.flatnonzero(~(people.head_sizes > 0)).tolist())
    message = f"{len(lacking):,} of {len(people):,} people have no head box"
    if len(lacking) == len(people):
        message += ", so scores use the torso size; for PCKh put detections_our_format.mat into the folder of the annotation file"
    elif lacking:
        message += "; PCKh does not evaluate these people"
    return CheckResult(LOOK if lacking else OK, "head boxes", message, lacking)


def _check_torsos(people: People) -> CheckResult:
    joints = ("left_shoulder", "right_hip")
    if not set(joints) <= set(people.skeleton.joints):
        return CheckResult(LOOK, "torsos", f"skeleton {people.skeleton.name} lacks {' or '.join(joints)}: PCK cannot be computed")
    sizes = torso_sizes(people.joints, people.labelled, people.skeleton)
    lacking = tuple(np.flatnonzero(~(sizes > 0)).tolist())
    message = f"{len(lacking):,} of {len(people):,} people lack {' or '.join(joints)}"
    if lacking:
        message += "; PCK does not evaluate these people"
    return CheckResult(LOOK if lacking else OK, "torsos", message, lacking)


def _check_shared_images(people: People, other: People) -> CheckResult:
    """Check that two splits share no images; otherwise one split cannot be used to test a model trained on the other split."""
    other_paths = set(other.image_paths.tolist())
    shared = [Path(path).name for path in dict.fromkeys(people.image_paths.tolist()) if path in other_paths]
    message = f"{len(shared):,} images are in both splits"
    if shared:
        message += f": {first_few(shared)}"
    return CheckResult(BAD if shared else OK, "splits apart", message)
