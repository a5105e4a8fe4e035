"""What a careful person looks at before training: are all people there, and their photographs, and do the labels fit them.

`check` gives a list of findings, `posekit.data.checks.check_results.results_table` prints it.
"""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from posekit.data.checks.check_results import BAD, LOOK, OK, CheckResult, percent, some
from posekit.data.checks.label_checks import coordinate_base, joint_order, left_and_right, shoulders_and_hips
from posekit.data.image_headers import Photographs, read_headers
from posekit.metrics import torso_sizes
from posekit.people import People

# Persons in the published sets; MPII's are those of the usual split (Tompson et al., CVPR 2015).
_KNOWN_COUNTS = {
    ("mpii", "train"): 22_246,
    ("mpii", "valid"): 2_958,
    ("lsp", "train"): 1_000,
    ("lsp", "test"): 1_000,
    ("lsp", "all"): 2_000,
    ("lspet", "train"): 10_000,
    ("lspet", "all"): 10_000,
}
_RECORDS, _RECORD_COUNT = "mpii_annotations.json", 25_204  # the only form of MPII that holds the split's persons and no others
# Training stops where more than this share of the persons cannot be read.
_FEW = 0.01


def check(splits: Mapping[str, People], photographs: Photographs | None = None, *, known_counts: bool = True) -> list[CheckResult]:
    """ModelOutput a data set over.

    Parameters
    ----------
    splits : mapping of str to People
        By the names that findings call them.
    photographs : Photographs, optional
        What is known of the photographs; without, their headers are read.
    known_counts : bool
        Whether the people should be as many as in the published set; not so for a rendered one.

    Returns
    -------
    list of CheckResult : split by split, then what concerns them together.
    """
    photographs = photographs or read_headers(image for people in splits.values() for image in people.image_paths)
    return [
        *(replace(each, split=name) for name, people in splits.items() for each in _of_split(people, photographs, known_counts)),
        *(_shared_photographs(dict(pair)) for pair in itertools.combinations(splits.items(), 2)),
    ]


def _of_split(people: People, photographs: Photographs, known_counts: bool) -> list[CheckResult]:
    sizes = photographs.sizes_of(people.image_paths)
    return [
        _count(people, known_counts),
        _repeated(people),
        _photographs(people, photographs),
        _outside(people, sizes),
        _limits(people, sizes),
        *_reference_sizes(people),
        coordinate_base(people, sizes),
        left_and_right(people),
        shoulders_and_hips(people),
        joint_order(people),
    ]


def _count(people: People, known_counts: bool) -> CheckResult:
    expected = _expected(people) if known_counts else None
    message = f"{len(people):,}" + ("; left out: " if people.left_out else "")
    message += ", ".join(f"{count:,} {reason}" for reason, count in people.left_out.items())
    if expected is None:
        return CheckResult(OK, "persons", message)
    if len(people) == expected:
        return CheckResult(OK, "persons", f"{message}; as many as published")
    return CheckResult(LOOK, "persons", f"{message}; {expected:,} expected, as published")


def _expected(people: People) -> int | None:
    if (people.name, people.split) == ("mpii", "all") and _RECORDS in people.box_source:
        return _RECORD_COUNT
    return _KNOWN_COUNTS.get((people.name, people.split))


def _repeated(people: People) -> CheckResult:
    """Persons who are in the split twice: the same joints in the same photograph."""
    first: dict[tuple, int] = {}
    keys = ((image, joints.tobytes()) for image, joints in zip(people.image_paths.tolist(), people.joints, strict=True))
    repeated = tuple(i for i, key in enumerate(keys) if first.setdefault(key, i) != i)
    if repeated:
        return CheckResult(
            LOOK, "repeated persons", f"{len(repeated):,} are there twice or more: persons {some(repeated)}", repeated
        )
    return CheckResult(OK, "repeated persons", "none")


def _photographs(people: People, photographs: Photographs) -> CheckResult:
    images = dict.fromkeys(people.image_paths.tolist())
    lists = {"missing": photographs.missing, "unreadable": photographs.unreadable}
    lacking = {what: [path for path in paths if path in images] for what, paths in lists.items()}
    bad = np.count_nonzero(np.isin(people.image_paths, [path for paths in lacking.values() for path in paths]))
    message = "; ".join(f"{len(paths):,} {what}{_named(paths)}" for what, paths in lacking.items())
    if bad:
        message += f"; {bad:,} persons are in them; looked for in {Path(people.image_paths[0]).parent}"
    verdict = OK if not bad else LOOK if bad <= _FEW * len(people) else BAD
    return CheckResult(verdict, "photographs", f"{len(images):,}, of which {message}")


def _named(paths: list[str]) -> str:
    return f" ({some([Path(path).name for path in paths])})" if paths else ""


def _outside(people: People, sizes: np.ndarray) -> CheckResult:
    """Labelled joints outside their photograph; where its size is not known, left of it or above it."""
    beyond = np.fmax(-0.5 - people.joints, people.joints - (sizes[:, None] - 0.5)).max(-1)
    beyond = np.where(people.labelled, beyond, -np.inf)
    outside, labelled = beyond > 0, np.count_nonzero(people.labelled)
    n, unknown = np.count_nonzero(outside), np.count_nonzero(np.isnan(sizes[:, 0]))
    message = f"{n:,} of {labelled:,} ({percent(n, labelled)})"
    if n:
        person, joint = np.unravel_index(beyond.argmax(), beyond.shape)
        who = f"{people.skeleton.joints[joint]} of person {person} ({Path(people.image_paths[person]).name})"
        message += f"; worst by {beyond.max():.1f} px: {who}"
    if unknown:
        message += f"; right and bottom edges of {unknown:,} persons' photographs are not known"
    verdict = OK if not n and not unknown else LOOK if n <= _FEW * labelled else BAD
    return CheckResult(verdict, "joints outside", message, tuple(np.flatnonzero(outside.any(1)).tolist()))


def _limits(people: People, sizes: np.ndarray) -> CheckResult:
    """Labelled joints exactly at a limit: cut off there by whoever made the file, or without one of their coordinates."""
    joints, last = people.joints, sizes[:, None] - 1
    at = {name: (there & people.labelled[..., None]).any(-1) for name, there in
          {"-1": joints == -1, "0": joints == 0, "the last pixel": joints == last}.items()}  # fmt: skip
    message = ", ".join(f"{np.count_nonzero(there):,} at {name}" for name, there in at.items())
    lost = tuple(np.flatnonzero(at["-1"].any(1)).tolist())
    if lost:
        message += f"; -1 is 0 in a file that counts from 1, perhaps a lost coordinate: persons {some(lost)}"
    return CheckResult(LOOK if lost else OK, "joints at limits", f"a coordinate is exactly there: {message}", lost)


def _reference_sizes(people: People) -> list[CheckResult]:
    """What scoring divides by: head sizes where there are any, as `posekit.scoring.score` has it, else torsos."""
    has_heads = bool((people.head_sizes > 0).any())
    heads = [_head_boxes(people, has_heads)] if has_heads or people.name == "mpii" else []
    return heads if has_heads else [*heads, _torsos(people)]


def _head_boxes(people: People, has_heads: bool) -> CheckResult:
    lacking = tuple(np.flatnonzero(~(people.head_sizes > 0)).tolist())
    message = f"{len(lacking):,} of {len(people):,} persons have none"
    if not has_heads:
        message += "; scoring takes the torso, or PCKh where detections_our_format.mat lies beside the annotation"
    elif lacking:
        message += "; PCKh leaves them out"
    return CheckResult(LOOK if lacking else OK, "head boxes", message, lacking)


def _torsos(people: People) -> CheckResult:
    joints = ("left_shoulder", "right_hip")
    if not set(joints) <= set(people.skeleton.joints):
        return CheckResult(LOOK, "torsos", f"skeleton {people.skeleton.name} lacks {' or '.join(joints)}: PCK cannot be computed")
    lacking = tuple(np.flatnonzero(~(torso_sizes(people.joints, people.labelled, people.skeleton) > 0)).tolist())
    message = f"{len(lacking):,} of {len(people):,} persons lack {' or '.join(joints)}" + (
        "; PCK leaves them out" if lacking else ""
    )
    return CheckResult(LOOK if lacking else OK, "torsos", message, lacking)


def _shared_photographs(pair: Mapping[str, People]) -> CheckResult:
    """Photographs that two splits share, so that one cannot be tested with what the other has learnt."""
    one, other = (dict.fromkeys(people.image_paths.tolist()) for people in pair.values())
    shared = [Path(image).name for image in one if image in other]
    message = f"{len(shared):,} photographs are in both" + (f": {some(shared)}" if shared else "")
    return CheckResult(BAD if shared else OK, "splits apart", message, split=", ".join(pair))
