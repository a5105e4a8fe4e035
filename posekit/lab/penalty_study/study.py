"""Where anchor loss penalises a model more than binary cross entropy (BCE), over a data set.

Ryou et al. (ICCV 2019) claim that the penalty falls on regions that look like the joint: the opposite (left or right) joint of
the same person, and the same joint of other people.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from posekit import heatmaps
from posekit.data.crops import Failure
from posekit.errors import DataError, WeightsError
from posekit.geometry import Crop
from posekit.lab.penalty_study.measures import (
    KINDS,
    LOSSES,
    MEASURES,
    Groups,
    Measures,
    Regions,
    differences,
    estimates,
    gradient_lines,
    gradient_shares,
    measure_lines,
    summed_gradients,
    to_json,
)
from posekit.losses.explain import anchor_maps
from posekit.models import ModelInfo
from posekit.people import People
from posekit.prediction.predictor import Predictor, report_failures

REGIONS = ("opposite", "other persons", "rest")
EXPLANATION = """\
Regions. opposite: pixels in the target of the same person's opposite joint. other persons: pixels in the target of the same
joint of other annotated people. rest: all other true negatives.
Columns. 1e-6 per pixel: mean penalty. % of penalty, % of pixels: the region's share of the penalty and of the pixels, in the
heatmaps that have the region; the shares do not add up to 100 if some heatmaps lack a region. times as dense: % of penalty
divided by % of pixels. % of heatmaps higher: percentage of heatmaps with a probability above the anchor somewhere in the
region; this percentage does not depend on the model's confidence.
In brackets: 95 % confidence interval of a bootstrap over images, if at least ten images have the region.
% of the gradient: each kind of pixel's share of the loss's absolute gradient with respect to the logits, over all heatmaps."""


@dataclass(frozen=True)
class PenaltyStudy:
    """Result of `penalty_study`, whose docstring defines the regions.

    Parameters
    ----------
    people : People
        N people, with the K joints of the model's skeleton.
    gamma : float
        Focusing exponent of anchor loss.
    penalty : (N, K, 3) float64
        Penalty of each heatmap, summed over each of `REGIONS`.
    area : (N, K, 3) int64
        Number of pixels of each region; 0 in all regions of a heatmap that is not evaluated.
    hard : (N, K, 3) int64
        Number of pixels of each region with a probability above the anchor.
    gradient : (N, 2, 3) float64
        Sums of the losses' absolute gradients, see `posekit.lab.penalty_study.measures.summed_gradients`.
    failures : tuple of Failure
        People whose images could not be read; these people are not evaluated.
    targets : str
        Description of the targets: input size, sigma, rounding. Only studies with the same targets are comparable.
    """

    people: People
    gamma: float
    penalty: np.ndarray
    area: np.ndarray
    hard: np.ndarray
    gradient: np.ndarray
    failures: tuple[Failure, ...] = ()
    targets: str = ""

    @cached_property
    def groups(self) -> Groups:
        """Measures by joint group ("All" joints, and the skeleton's groups) and region, over the heatmaps that have the region.

        - ``mean_penalty``: penalty in the region, divided by the number of pixels of the region.
        - ``penalty_share``: percentage of the heatmaps' penalty that falls in the region.
        - ``area_share``: percentage of the heatmaps' true negatives that lie in the region.
        - ``concentration``: ``penalty_share / area_share``; 1 if the penalty were spread evenly over all true negatives,
          background included. Compare the concentrations of several models with each other, not with 1.
        - ``higher``: percentage of the heatmaps with a probability above the anchor somewhere in the region. Unlike the mean
          penalty, this percentage does not change if an increasing function is applied to the outputs, so models of different
          confidence can be compared.
        """
        groups = {}
        for name, joints in _groups(self.people).items():
            groups[name] = {region: estimates(self.sums(region, joints)) for region in REGIONS}
        return groups

    @property
    def regions(self) -> Regions:
        """Measures of each region, over all joints."""
        return self.groups["All"]

    def group_rows(self, region: str) -> dict[str, Measures]:
        """Return the measures of one region by joint group, as rows for `posekit.lab.penalty_study.bars.penalty_bars`."""
        return {name: regions[region] for name, regions in self.groups.items()}

    @cached_property
    def maps(self) -> dict[str, dict[str, int]]:
        """Number of heatmaps that have a region, by joint group (with "All") and region."""
        counts = {}
        for name, joints in _groups(self.people).items():
            has_region = self.area[:, list(joints)] > 0
            counts[name] = dict(zip(REGIONS, has_region.sum((0, 1)).tolist(), strict=True))
        return counts

    @property
    def n_maps(self) -> int:
        """Number of evaluated heatmaps: the joint is labelled and within the crop, and the image could be read."""
        return int((self.area > 0).any(-1).sum())

    def sums(self, region: str, joints: Sequence[int]) -> np.ndarray:
        """Return the (P, 6) float64 sums of a region over some joints, for `estimates`; the P images are sorted by path."""
        joints = list(joints)
        r = REGIONS.index(region)
        penalty = self.penalty[:, joints]
        area = self.area[:, joints]
        has_region = area[..., r] > 0
        higher = self.hard[:, joints, r] > 0
        columns = np.stack([penalty[..., r], area[..., r], penalty.sum(-1), area.sum(-1), higher, has_region], axis=-1)
        per_person = (columns * has_region[..., None]).sum(1)
        image_N = _image_indices(self.people)
        sums = np.zeros((image_N.max(initial=-1) + 1, columns.shape[-1]))
        np.add.at(sums, image_N, per_person)
        return sums

    def table(self) -> str:
        """Format the measures as text, one line per region of each group; `EXPLANATION` describes the columns."""
        unread = len(self.failures)
        lines = [
            f"penalty (anchor loss with gamma {self.gamma:g} minus BCE): {self.people.name} {self.people.split}, "
            f"{len(self.people) - unread:,} people, {self.n_maps:,} heatmaps"
        ]
        if unread:
            lines.append(f"not evaluated because the image could not be read: {unread:,} of {len(self.people):,} people")
        tables = ["", *measure_lines(self.groups, self.maps), "", *gradient_lines(gradient_shares(self.gradient))]
        return "\n".join(lines + tables)

    def to_dict(self) -> dict:
        """Return the results as a dictionary for JSON, with None instead of NaN."""
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

    Raises
    ------
    DataError
        If the two studies differ in people, joints, gamma or targets.
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
                "the two penalty studies have different joints, people or gammas "
                f"({a.people.skeleton.name}, {len(a.people):,} people, gamma {a.gamma:g}; "
                f"{b.people.skeleton.name}, {len(b.people):,} people, gamma {b.gamma:g}): "
                "compare models with the same skeleton, on the same split, with the same gamma"
            )
        if a.targets != b.targets:
            raise DataError(
                f"the two models have different targets ({a.targets}; {b.targets}); compare models with the same targets"
            )

    @cached_property
    def groups(self) -> Groups:
        """Difference (first minus second) of all measures of `PenaltyStudy.groups`, with paired 95 % confidence intervals."""
        groups = {}
        for name, joints in _groups(self.first.people).items():
            groups[name] = {r: differences(self.first.sums(r, joints), self.second.sums(r, joints)) for r in REGIONS}
        return groups

    def table(self, names: tuple[str, str]) -> str:
        """Format the differences as text, one line per region of each group; `names` are the names of the two models."""
        measures = [name for name in MEASURES if name != "area_share"]
        caption = (
            f"penalty (gamma {self.first.gamma:g}), A ({names[0]}) minus B ({names[1]}), with 95 % confidence intervals of a "
            "paired bootstrap over images"
        )
        return "\n".join([caption, "", *measure_lines(self.groups, self.first.maps, measures=measures, sign="+")])

    def to_dict(self) -> dict:
        """Return the differences as a dictionary for JSON, with None instead of NaN."""
        return to_json(self.groups)


@torch.inference_mode()
def penalty_study(predictor: Predictor, people: People, *, gamma: float = 2.0, progress: bool = True) -> PenaltyStudy:
    """Measure where anchor loss penalises a model more than binary cross entropy, over a data set.

    A heatmap is evaluated if the joint is labelled and the heatmap has an anchor, which means that the joint's target exceeds 0.5
    somewhere (targets are drawn in the person's crop as in the model's training). The penalty of a true negative (a pixel with a
    target of exactly 0) is anchor loss minus BCE, clipped at 0 (`posekit.losses.explain.AnchorMaps.penalty`). The heatmaps
    come from the last stack, averaged over test-time augmentations.
    Each true negative belongs to the first region whose condition holds:

    1. ``opposite``: the same person's opposite joint (`Skeleton.flip_order`) is labelled, and the opposite joint's target is above
       0 at the pixel: the pixel lies within 3 sigma of the opposite joint.
    2. ``other persons``: the same joint of another of the `people` in the image is labelled, and the target of that joint, drawn
       in the same crop, is above 0 at the pixel. Pixels on people who are not annotated belong to the rest.
    3. ``rest``: all other true negatives.

    A heatmap lacks a region if no pixel belongs to the region: the joint has no opposite joint, the opposite joint or the other
    person's joint is not labelled or lies outside the crop, or the joint's own target covers the whole region. If the own target
    covers only a part, the remaining part is the region, where a peak that misses the joint by a few pixels is penalised too.

    Parameters
    ----------
    predictor : Predictor
    people : People
        All people of each image (needed for "other persons"). People whose images cannot be read are reported on stderr and not
        evaluated.
    gamma : float
        Focusing exponent of anchor loss, >= 0. Gamma affects the penalty, but not which pixels are above the anchor.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    DataError
        If the people's skeleton shares no joint with the model's.
    ImageError
        If none of the people's images could be read.
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
                raise WeightsError("the model's heatmaps contain NaN or infinity because the training failed; use other weights")
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
    """Return (N,) int64: for each person, the index of the image among the sorted image paths."""
    return np.unique(people.image_paths, return_inverse=True)[1]


def _describe_targets(info: ModelInfo) -> str:
    options = {"sigma": 1.0, "subpixel": False} | info.target_options
    centres = "exact" if options["subpixel"] else "whole"
    return f"{info.input_size} px, sigma {options['sigma']:g}, {centres} centres"


def _targets(info: ModelInfo, people: People, image_N: np.ndarray, index_B: np.ndarray, size: int) -> tuple[Tensor, Tensor]:
    """Draw a batch of targets, (B, K, size, size) float32, and the pixels where the target of another person is above 0, bool."""
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
    """Return (3, B, K, H, W) bool, True where a true negative of a heatmap with an anchor lies in each of `REGIONS`."""
    has_anchor = (targets_BKHW > 0.5).any(-1, keepdim=True).any(-2, keepdim=True)
    negative = (targets_BKHW == 0) & has_anchor
    # A joint without an opposite is its own opposite, and no true negative lies within its own target.
    opposite = negative & (targets_BKHW[:, opposite_K] > 0)
    others = negative & ~opposite & others_BKHW
    return torch.stack([opposite, others, negative & ~opposite & ~others])


def _sum_regions(values_BKHW: Tensor | int, regions_3BKHW: Tensor) -> np.ndarray:
    """Return (B, K, 3) sums of the values over each region."""
    return torch.stack([(values_BKHW * region).sum((-2, -1)) for region in regions_3BKHW], -1).cpu().numpy()
