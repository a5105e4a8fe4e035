"""Where, over a data set, anchor loss charges more than binary cross entropy: the paper's claim in numbers.

Ryou et al. (ICCV 2019) say that its penalty falls on what looks like the joint: the same person's opposite (left or right)
joint, and the same joint of other persons.
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
from posekit.lab.penalty_study.measures import MEASURES, Estimate, differences, estimates, measure_lines, to_json
from posekit.losses.explain import anchor_maps
from posekit.models import ModelInfo
from posekit.people import People
from posekit.prediction.predictor import Predictor, report_failures

REGIONS = ("opposite", "other persons", "rest")
EXPLANATION = """\
opposite: within the target of the same person's opposite joint; other persons: within that of the same joint of others who
are annotated; rest: all other true negatives. Per pixel: the mean penalty. % of penalty, % of pixels: the region's share of
the maps that have it, so that shares do not add up to 100 where maps lack one; times as dense: the one divided by the other.
% of maps higher: those that score above the anchor somewhere in the region, however confident the model is. In brackets,
where ten photographs or more have the region, the 95 % interval of a bootstrap over photographs.
% of the gradient: of the absolute derivatives by a sigmoid's logits, over all maps: which pixels each loss would learn from."""


@dataclass(frozen=True)
class PenaltyStudy:
    """What `penalty_study` found; there stands what each region is.

    Parameters
    ----------
    people : People
        N persons, in the model's skeleton of K joints.
    gamma : float
        The focusing exponent.
    penalty : (N, K, 3) float64
        Of each map, the sum of the penalty over each of `REGIONS`.
    area : (N, K, 3) int64
        Pixels of each region; all 0 for a map that does not count.
    hard : (N, K, 3) int64
        Pixels of each region that score above the anchor.
    gradient : (N, 2, 3) float64
        Sums of the losses' absolute derivatives, as of `posekit.lab.penalty_study.gradient_shares.summed_gradients`.
    failures : tuple of Failure
        Persons who could not be read; they do not count.
    targets : str
        The maps' size and how their targets are drawn: on other maps the same model has other numbers.
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
        regions, kinds = (*self.people.labelled.shape, len(REGIONS)), (len(self.people), len(LOSSES), len(KINDS))
        for name, expected in {"penalty": regions, "area": regions, "hard": regions, "gradient": kinds}.items():
            if getattr(self, name).shape != expected:
                raise ValueError(f"{name}: expected {expected}, got {getattr(self, name).shape}")

    @cached_property
    def groups(self) -> dict[str, dict[str, dict[str, Estimate]]]:
        """Of "All" joints and each of the skeleton's groups, of each of `REGIONS`, over the maps that have it.

        - ``mean_penalty``: its penalty by its pixels.
        - ``penalty_share``: percent of these maps' penalty that it receives.
        - ``area_share``: percent of these maps' true negatives that lie in it. Shares of the regions do not add up to 100
          where some maps lack one.
        - ``concentration``: the one share divided by the other. It is 1 if the penalty were spread evenly, over the
          background too, where no model looks for joints: compare models by it, rather than one model with 1.
        - ``higher``: percent of these maps that score above the anchor somewhere in it. Any rising change of outputs within
          0 to 1 leaves this as it is; so it serves to compare models that are not equally confident, where a mean penalty does not.
        """
        return {name: {r: estimates(self.sums(r, joints)) for r in REGIONS} for name, joints in _groups(self.people).items()}

    @property
    def regions(self) -> dict[str, dict[str, Estimate]]:
        """The numbers of all joints together."""
        return self.groups["All"]

    def group_rows(self, region: str) -> dict[str, dict[str, Estimate]]:
        """One region's numbers, of all joints and each group, as `posekit.lab.penalty_study.bars.penalty_bars` takes them."""
        return {name: regions[region] for name, regions in self.groups.items()}

    @cached_property
    def maps(self) -> dict[str, dict[str, int]]:
        """How many maps have each region, of "All" joints and of each group."""
        return {
            name: {r: int(count) for r, count in zip(REGIONS, (self.area[:, list(joints)] > 0).sum((0, 1)), strict=True)}
            for name, joints in _groups(self.people).items()
        }

    @property
    def n_maps(self) -> int:
        """Maps that count: of joints that are labelled and within the crop of a person who could be read."""
        return int((self.area > 0).any(-1).sum())

    def sums(self, region: str, joints: Sequence[int]) -> np.ndarray:
        """What each photograph adds to the numbers of a region of these joints' maps.

        Returns
        -------
        (P, 6) float64 : as `posekit.lab.penalty_study.measures.estimates` takes them; photographs in the order of their paths.
        """
        joints, r = list(joints), REGIONS.index(region)
        penalty, area = self.penalty[:, joints], self.area[:, joints]
        has, higher = area[..., r] > 0, self.hard[:, joints, r] > 0
        columns = [penalty[..., r], area[..., r], penalty.sum(-1), area.sum(-1), higher, has]
        per_person = (np.stack(columns, -1) * has[..., None]).sum(1)
        sums = np.zeros((self._photograph.max(initial=-1) + 1, len(columns)))
        np.add.at(sums, self._photograph, per_person)
        return sums

    @cached_property
    def _photograph(self) -> np.ndarray:
        return _numbered(self.people.image_paths)

    def table(self) -> str:
        """Text for the screen: a line for each region, of all joints and of each group; `EXPLANATION` tells what they are."""
        people, unread = self.people, len(self.failures)
        lines = [
            f"penalty, what anchor loss (gamma {self.gamma:g}) charges more than BCE: {people.name} {people.split}, "
            f"{len(people) - unread:,} persons, {self.n_maps:,} maps",
            *([f"left out, could not be read: {unread:,} of {len(people):,} persons"] if unread else []),
            "",
            *measure_lines(self.groups, self.maps),
            "",
            *gradient_lines(gradient_shares(self.gradient)),
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict:
        """The same for a JSON file; None where nothing counted."""
        return {
            "gamma": self.gamma,
            "targets": self.targets,
            "dataset": self.people.name,
            "split": self.people.split,
            "n_persons": len(self.people) - len(self.failures),
            "n_not_read": len(self.failures),
            "n_maps": self.n_maps,
            "interval95": "bootstrap over photographs, 1000 resamples, seed 0; None where fewer than 10 have the region",
            "maps": self.maps,
            "groups": to_json(self.groups),
            "gradient": gradient_shares(self.gradient) if self.n_maps else None,
        }


@dataclass(frozen=True)
class PenaltyComparison:
    """The difference of two models, photograph by photograph.

    Parameters
    ----------
    first, second : PenaltyStudy
        Of the same people, with the same gamma.

    Raises
    ------
    DataError
        If the two are not of the same joints of the same people, or have different gammas, maps or targets.
    """

    first: PenaltyStudy
    second: PenaltyStudy

    def __post_init__(self):
        a, b = self.first, self.second
        same = a.gamma == b.gamma and a.people.skeleton == b.people.skeleton
        same = same and all(np.array_equal(getattr(a.people, name), getattr(b.people, name)) for name in ("image_paths", "joints"))
        if not same:
            raise DataError(
                f"the penalties of two models are of different joints, people or gammas ({a.people.skeleton.name}, "
                f"{len(a.people):,} persons, gamma {a.gamma:g}, against {b.people.skeleton.name}, {len(b.people):,} persons, "
                f"gamma {b.gamma:g}); compare models of one skeleton on one split"
            )
        if a.targets != b.targets:
            raise DataError(f"the penalties of two models are on different targets ({a.targets}; {b.targets}): they do not compare")

    @cached_property
    def groups(self) -> dict[str, dict[str, dict[str, Estimate]]]:
        """First minus second of every number of `PenaltyStudy.groups`, with paired 95 % intervals."""
        return {
            name: {r: differences(self.first.sums(r, joints), self.second.sums(r, joints)) for r in REGIONS}
            for name, joints in _groups(self.first.people).items()
        }

    def table(self, names: tuple[str, str]) -> str:
        """Text for the screen: a line for each region, of all joints and of each group.

        Parameters
        ----------
        names : (str, str)
            What the two are called.
        """
        measures = [name for name in MEASURES if name != "area_share"]
        lines = [
            f"penalty (gamma {self.first.gamma:g}), A ({names[0]}) minus B ({names[1]}), with the 95 % interval of a paired "
            "bootstrap over photographs",
            "",
            *measure_lines(self.groups, self.first.maps, measures=measures, sign="+"),
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict:
        """The same for a JSON file; None where nothing counted."""
        return to_json(self.groups)


@torch.inference_mode()
def penalty_study(predictor: Predictor, people: People, *, gamma: float = 2.0, progress: bool = True) -> PenaltyStudy:
    """Sum up, over a data set, where anchor loss charges a model more than binary cross entropy.

    A map counts if its joint is labelled and has an anchor: the target of joint k of person n, drawn in the person's crop as
    for the model's training, exceeds 0.5 somewhere. The penalty of each of its true negatives (target exactly 0) is anchor
    loss minus BCE, clipped at 0 (`posekit.losses.explain.AnchorMaps.penalty`), of the last stack's map, averaged over the views.
    Each true negative lies in one region, the first of these that holds:

    1. ``opposite``: the target of the same person's opposite joint (`Skeleton.flip_order`), if labelled, is above 0 there:
       it lies within 3 sigma.
    2. ``other persons``: so is the target, drawn in this same crop, of the same joint of another of the `people` in the same
       photograph, if labelled. Nobody knows of persons who are not annotated, or not among the `people`: theirs is the rest.
    3. ``rest``.

    A map lacks a region without a pixel: the joint has no opposite, the other joint is not labelled or outside the crop, or
    it lies so near that the map's own target covers it. Where that covers a part, the other part is the region: there a peak
    that merely misses the joint by a few pixels is charged too.

    Parameters
    ----------
    predictor : Predictor
    people : People
        Whole photographs, where several persons matter. Whoever cannot be read is named on stderr and does not count.
    gamma : float
        The focusing exponent, >= 0. Other than the penalty, what scores above the anchor does not depend on it.
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
        If not one of the people could be read.
    WeightsError
        If the model's heatmaps are not finite.
    """
    people = people.mapped_to(predictor.info.skeleton)
    photograph, opposite = _numbered(people.image_paths), torch.tensor(people.skeleton.flip_order)
    shape, failures = (*people.labelled.shape, len(REGIONS)), []
    penalty, area, hard = np.zeros(shape), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    gradient = np.zeros((len(people), len(LOSSES), len(KINDS)))
    with tqdm(total=len(people), desc="penalty", unit="person", disable=not progress) as bar:
        for index, maps, failed in predictor.map_batches(people):
            if not maps.isfinite().all():
                raise WeightsError("the model's heatmaps are not finite numbers: its training failed; take other weights")
            targets, others = _targets(predictor.info, people, photograph, index, maps.shape[-1])
            targets[np.isin(index, [failure.index for failure in failed])] = 0
            regions = _regions(targets, others, opposite).to(maps.device)
            explained = anchor_maps(maps, targets.to(maps.device), gamma)
            penalty[index] = _summed(explained.penalty.double(), regions)
            area[index] = _summed(1, regions)
            hard[index] = _summed(explained.probability > explained.anchor, regions)
            gradient[index] = summed_gradients(explained)
            failures += failed
            bar.update(len(index))
    report_failures(failures, people)
    return PenaltyStudy(people, gamma, penalty, area, hard, gradient, tuple(failures), _described(predictor.info))


def _described(info: ModelInfo) -> str:
    drawn = {"sigma": 1.0, "subpixel": False} | info.target_options
    return f"{info.input_size} px, sigma {drawn['sigma']:g}, {'exact' if drawn['subpixel'] else 'whole'} centres"


def _groups(people: People) -> dict[str, Sequence[int]]:
    return {"All": range(len(people.skeleton)), **people.skeleton.group_indices}


def _numbered(names_N: np.ndarray) -> np.ndarray:
    """(N,) int64: the place of each name among those there are, in order."""
    return np.unique(names_N, return_inverse=True)[1]


def _targets(info: ModelInfo, people: People, photograph_N: np.ndarray, index_B: np.ndarray, size: int) -> tuple[Tensor, Tensor]:
    """Target maps of these persons, and where those of the other persons in their photographs are above 0.

    Returns
    -------
    targets : (B, K, size, size) float32
    others : (B, K, size, size) bool
    """
    targets, others = [], []
    for i in index_B:
        whose = [i, *np.setdiff1d(np.flatnonzero(photograph_N == photograph_N[i]), i)]
        joints = torch.from_numpy(Crop(people[i].box, info.input_size).forward(people.joints[whose]))
        labelled = torch.from_numpy(people.labelled[whose])
        maps = heatmaps.encode(joints, labelled, size=size, stride=info.input_size // size, **info.target_options)
        targets.append(maps[0])
        others.append((maps[1:] > 0).any(0))
    return torch.stack(targets), torch.stack(others)


def _regions(targets_BKHW: Tensor, others_BKHW: Tensor, opposite_K: Tensor) -> Tensor:
    """(3, B, K, H, W) bool: the true negatives of each of `REGIONS`, on maps that have an anchor."""
    negative = (targets_BKHW == 0) & (targets_BKHW > 0.5).any(-1, keepdim=True).any(-2, keepdim=True)
    # A joint without an opposite is its own, within whose target there is no true negative.
    opposite = negative & (targets_BKHW[:, opposite_K] > 0)
    others = negative & ~opposite & others_BKHW
    return torch.stack([opposite, others, negative & ~opposite & ~others])


def _summed(values_BKHW: Tensor | int, regions_3BKHW: Tensor) -> np.ndarray:
    """(B, K, 3): sums over each region."""
    return torch.stack([(values_BKHW * region).sum((-2, -1)) for region in regions_3BKHW], -1).cpu().numpy()
