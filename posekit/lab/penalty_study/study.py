"""Where anchor loss penalises a model more than binary cross entropy (BCE), over a data set.

Ryou et al. (ICCV 2019) claim that the penalty falls on what looks like the joint: the same person's opposite (left or right)
joint, and the same joint of other people.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from posekit import heatmaps
from posekit.data.sample import Failure
from posekit.errors import DataError, WeightsError
from posekit.geometry import Crop
from posekit.lab.penalty_study.gradient_shares import KINDS, LOSSES, gradient_lines, gradient_shares, summed_gradients
from posekit.lab.penalty_study.measures import (
    MEASURES,
    Groups,
    Measures,
    Regions,
    differences,
    estimates,
    measure_lines,
    to_json,
)
from posekit.losses.explain import anchor_maps
from posekit.models import ModelInfo
from posekit.people import People
from posekit.prediction.predictor import Predictor, report_failures

REGIONS = ("opposite", "other persons", "rest")
EXPLANATION = """\
opposite: within the target of the same person's opposite joint. other persons: within the target of the same joint of other
annotated people. rest: all other true negatives.
1e-6 per pixel: mean penalty. % of penalty, % of pixels: the region's share of the maps that have it; the shares do not add up
to 100 where maps lack a region. times as dense: % of penalty divided by % of pixels. % of maps higher: maps that score above
the anchor somewhere in the region; this does not depend on the model's confidence.
In brackets: 95 % interval of a bootstrap over images, where at least ten images have the region.
% of the gradient: share of the absolute derivatives with respect to the logits, over all maps: the pixels each loss learns from."""


@dataclass(frozen=True)
class PenaltyStudy:
    """Result of `penalty_study`, which defines the regions.

    Parameters
    ----------
    people : People
        N people, in the model's skeleton of K joints.
    gamma : float
        The focusing exponent.
    penalty : (N, K, 3) float64
        Sum of each map's penalty over each of `REGIONS`.
    area : (N, K, 3) int64
        Pixels of each region; all 0 for a map that does not count.
    hard : (N, K, 3) int64
        Pixels of each region that score above the anchor.
    gradient : (N, 2, 3) float64
        Sums of the losses' absolute derivatives, see `posekit.lab.penalty_study.gradient_shares.summed_gradients`.
    failures : tuple of Failure
        People who could not be read; they do not count.
    targets : str
        Size of the maps and how their targets are drawn. Numbers are comparable only between studies with the same targets.

    Raises
    ------
    ValueError
        If an array has the wrong shape.
    """

    people: People
    gamma: float
    penalty: np.ndarray
    area: np.ndarray
    hard: np.ndarray
    gradient: np.ndarray
    failures: tuple[Failure, ...] = ()
    targets: str = ""

    def __post_init__(self):
        regions = (*self.people.labelled.shape, len(REGIONS))
        kinds = (len(self.people), len(LOSSES), len(KINDS))
        for name, expected in {"penalty": regions, "area": regions, "hard": regions, "gradient": kinds}.items():
            shape = getattr(self, name).shape
            if shape != expected:
                raise ValueError(f"{name}: expected {expected}, got {shape}")

    @cached_property
    def groups(self) -> Groups:
        """Measures of each of `REGIONS`, for "All" joints and each of the skeleton's groups, over the maps with the region.

        - ``mean_penalty``: the region's penalty divided by its pixels.
        - ``penalty_share``: percentage of these maps' penalty that falls in the region.
        - ``area_share``: percentage of these maps' true negatives that lie in the region.
        - ``concentration``: ``penalty_share / area_share``; 1 if the penalty were spread evenly, over the background too.
          Compare models by it, rather than one model with 1.
        - ``higher``: percentage of these maps that score above the anchor somewhere in the region. It is invariant to any
          increasing transform of the outputs, so it compares models of unequal confidence, unlike the mean penalty.
        """
        groups = {}
        for name, joints in _groups(self.people).items():
            groups[name] = {region: estimates(self.sums(region, joints)) for region in REGIONS}
        return groups

    @property
    def regions(self) -> Regions:
        """Measures of each region for all joints together."""
        return self.groups["All"]

    def group_rows(self, region: str) -> dict[str, Measures]:
        """Return one region's measures for each group, as `posekit.lab.penalty_study.bars.penalty_bars` takes them."""
        return {name: regions[region] for name, regions in self.groups.items()}

    @cached_property
    def maps(self) -> dict[str, dict[str, int]]:
        """Number of maps that have each region, for "All" joints and each group."""
        counts = {}
        for name, joints in _groups(self.people).items():
            has_region = self.area[:, list(joints)] > 0
            counts[name] = dict(zip(REGIONS, has_region.sum((0, 1)).tolist(), strict=True))
        return counts

    @property
    def n_maps(self) -> int:
        """Number of maps that count: the joint is labelled and within the crop, and the image could be read."""
        return int((self.area > 0).any(-1).sum())

    def sums(self, region: str, joints: Sequence[int]) -> np.ndarray:
        """Sum up what the measures of a region need, image by image, over the maps of these joints.

        Returns
        -------
        (P, 6) float64 : see `posekit.lab.penalty_study.measures.estimates`; images in the order of their paths.
        """
        joints = list(joints)
        r = REGIONS.index(region)
        penalty = self.penalty[:, joints]
        area = self.area[:, joints]
        has_region = area[..., r] > 0
        higher = self.hard[:, joints, r] > 0
        columns = [penalty[..., r], area[..., r], penalty.sum(-1), area.sum(-1), higher, has_region]
        per_person = (np.stack(columns, -1) * has_region[..., None]).sum(1)
        image_N = _image_indices(self.people)
        sums = np.zeros((image_N.max(initial=-1) + 1, len(columns)))
        np.add.at(sums, image_N, per_person)
        return sums

    def table(self) -> str:
        """Format the measures as text, one line per region of each group; `EXPLANATION` describes the columns."""
        unread = len(self.failures)
        lines = [
            f"penalty (anchor loss with gamma {self.gamma:g} minus BCE): {self.people.name} {self.people.split}, "
            f"{len(self.people) - unread:,} people, {self.n_maps:,} maps"
        ]
        if unread:
            lines.append(f"left out, could not be read: {unread:,} of {len(self.people):,} people")
        lines += ["", *measure_lines(self.groups, self.maps)]
        lines += ["", *gradient_lines(gradient_shares(self.gradient))]
        return "\n".join(lines)

    def to_dict(self) -> dict:
        """Return the results for a JSON file; None where nothing counted."""
        return {
            "gamma": self.gamma,
            "targets": self.targets,
            "dataset": self.people.name,
            "split": self.people.split,
            "n_persons": len(self.people) - len(self.failures),
            "n_not_read": len(self.failures),
            "n_maps": self.n_maps,
            "interval95": "bootstrap over images, 1000 resamples, seed 0; None where fewer than 10 have the region",
            "maps": self.maps,
            "groups": to_json(self.groups),
            "gradient": gradient_shares(self.gradient) if self.n_maps else None,
        }


@dataclass(frozen=True)
class PenaltyComparison:
    """Difference between two models' penalties on the same images.

    Parameters
    ----------
    first, second : PenaltyStudy

    Raises
    ------
    DataError
        If the two differ in people, joints, gamma or targets.
    """

    first: PenaltyStudy
    second: PenaltyStudy

    def __post_init__(self):
        a = self.first
        b = self.second
        if not (
            a.gamma == b.gamma
            and a.people.skeleton == b.people.skeleton
            and np.array_equal(a.people.image_paths, b.people.image_paths)
            and np.array_equal(a.people.joints, b.people.joints)
        ):
            raise DataError(
                "the two models' penalties are of different joints, people or gammas "
                f"({a.people.skeleton.name}, {len(a.people):,} people, gamma {a.gamma:g}; "
                f"{b.people.skeleton.name}, {len(b.people):,} people, gamma {b.gamma:g}): "
                "compare models of one skeleton on one split"
            )
        if a.targets != b.targets:
            raise DataError(f"the two models' penalties are on different targets ({a.targets}; {b.targets}): not comparable")

    @cached_property
    def groups(self) -> Groups:
        """First minus second of every measure of `PenaltyStudy.groups`, with paired 95 % intervals."""
        groups = {}
        for name, joints in _groups(self.first.people).items():
            groups[name] = {r: differences(self.first.sums(r, joints), self.second.sums(r, joints)) for r in REGIONS}
        return groups

    def table(self, names: tuple[str, str]) -> str:
        """Format the differences as text, one line per region of each group; `names` are those of the two models."""
        measures = [name for name in MEASURES if name != "area_share"]
        lines = [
            f"penalty (gamma {self.first.gamma:g}), A ({names[0]}) minus B ({names[1]}), with the 95 % interval of a paired "
            "bootstrap over images",
            "",
            *measure_lines(self.groups, self.first.maps, measures=measures, sign="+"),
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict:
        """Return the differences for a JSON file; None where nothing counted."""
        return to_json(self.groups)


@torch.inference_mode()
def penalty_study(predictor: Predictor, people: People, *, gamma: float = 2.0, progress: bool = True) -> PenaltyStudy:
    """Sum up where anchor loss penalises a model more than binary cross entropy, over a data set.

    A map counts if its joint is labelled and has an anchor: its target, drawn in the person's crop as for the model's training,
    exceeds 0.5 somewhere. The penalty of each of its true negatives (target exactly 0) is anchor loss minus BCE, clipped at 0
    (`posekit.losses.explain.AnchorMaps.penalty`), on the last stack's map, averaged over test-time augmentations.
    Each true negative belongs to the first region whose condition holds:

    1. ``opposite``: the target of the same person's opposite joint (`Skeleton.flip_order`), if labelled, is above 0: the pixel
       lies within 3 sigma of that joint.
    2. ``other persons``: the target, drawn in the same crop, of the same joint of another of the `people` in the same image,
       if labelled, is above 0. People who are not annotated or not among `people` are part of the rest.
    3. ``rest``.

    A map lacks a region if no pixel belongs to it: the joint has no opposite, the other joint is not labelled or outside the
    crop, or the map's own target covers it. Where the own target covers part of it, the remaining part is the region; a peak
    that misses the joint by a few pixels is penalised there too.

    Parameters
    ----------
    predictor : Predictor
    people : People
        All people of each image, for "other persons". People who cannot be read are reported on stderr and do not count.
    gamma : float
        The focusing exponent, >= 0. It changes the penalty, not which pixels score above the anchor.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    PenaltyStudy

    Raises
    ------
    DataError
        If the people's skeleton shares no joint with the model's.
    ImageError
        If none of the people could be read.
    WeightsError
        If the model's heatmaps are not finite.
    """
    people = people.mapped_to(predictor.info.skeleton)
    shape = (*people.labelled.shape, len(REGIONS))
    penalty = np.zeros(shape)
    area = np.zeros(shape, np.int64)
    hard = np.zeros(shape, np.int64)
    gradient = np.zeros((len(people), len(LOSSES), len(KINDS)))
    failures: list[Failure] = []
    image_N = _image_indices(people)
    with tqdm(total=len(people), desc="penalty", unit="person", disable=not progress) as bar:
        for index, maps, failed in predictor.map_batches(people):
            if not maps.isfinite().all():
                raise WeightsError("the model's heatmaps are not finite: its training failed; use other weights")
            targets, others = _targets(predictor.info, people, image_N, index, maps.shape[-1])
            targets[np.isin(index, [failure.index for failure in failed])] = 0
            regions = _regions(targets, others, torch.tensor(people.skeleton.flip_order)).to(maps.device)
            anchor = anchor_maps(maps, targets.to(maps.device), gamma)
            penalty[index] = _sum_regions(anchor.penalty.double(), regions)
            area[index] = _sum_regions(1, regions)
            hard[index] = _sum_regions(anchor.probability > anchor.anchor, regions)
            gradient[index] = summed_gradients(anchor)
            failures += failed
            bar.update(len(index))
    report_failures(failures, people)
    return PenaltyStudy(people, gamma, penalty, area, hard, gradient, tuple(failures), _describe_targets(predictor.info))


def _groups(people: People) -> dict[str, Sequence[int]]:
    return {"All": range(len(people.skeleton)), **people.skeleton.group_indices}


def _image_indices(people: People) -> np.ndarray:
    """(N,) int64: index of each person's image among the sorted image paths."""
    return np.unique(people.image_paths, return_inverse=True)[1]


def _describe_targets(info: ModelInfo) -> str:
    options = {"sigma": 1.0, "subpixel": False} | info.target_options
    centres = "exact" if options["subpixel"] else "whole"
    return f"{info.input_size} px, sigma {options['sigma']:g}, {centres} centres"


def _targets(info: ModelInfo, people: People, image_N: np.ndarray, index_B: np.ndarray, size: int) -> tuple[Tensor, Tensor]:
    """Target maps of these people, and where the targets of other people in the same image are above 0.

    Returns
    -------
    targets : (B, K, size, size) float32
    others : (B, K, size, size) bool
    """
    targets = []
    others = []
    for i in index_B:
        same_image = np.flatnonzero(image_N == image_N[i])
        members = [i, *np.setdiff1d(same_image, i)]
        joints = torch.from_numpy(Crop(people[i].box, info.input_size).forward(people.joints[members]))
        labelled = torch.from_numpy(people.labelled[members])
        maps = heatmaps.encode(joints, labelled, size=size, stride=info.input_size // size, **info.target_options)
        targets.append(maps[0])
        others.append((maps[1:] > 0).any(0))
    return torch.stack(targets), torch.stack(others)


def _regions(targets_BKHW: Tensor, others_BKHW: Tensor, opposite_K: Tensor) -> Tensor:
    """(3, B, K, H, W) bool: the true negatives in each of `REGIONS`, on maps that have an anchor."""
    has_anchor = (targets_BKHW > 0.5).any(-1, keepdim=True).any(-2, keepdim=True)
    negative = (targets_BKHW == 0) & has_anchor
    # A joint without an opposite is its own opposite; no true negative lies within its target.
    opposite = negative & (targets_BKHW[:, opposite_K] > 0)
    others = negative & ~opposite & others_BKHW
    return torch.stack([opposite, others, negative & ~opposite & ~others])


def _sum_regions(values_BKHW: Tensor | int, regions_3BKHW: Tensor) -> np.ndarray:
    """(B, K, 3): sums of the values over each region."""
    return torch.stack([(values_BKHW * region).sum((-2, -1)) for region in regions_3BKHW], -1).cpu().numpy()
