"""What is computed of maps and joints: targets, losses, decoding, scores."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.figure import TARGETS, Measurement
from benchmarks.measure import interleave, threads, time_ms, try_compile
from benchmarks.setting import Setting, random_joints
from posekit.data import open_people
from posekit.heatmaps import STRIDE, decode, encode
from posekit.losses import HeatmapAnchorLoss
from posekit.metrics import pckh
from posekit.scoring.io.files import read_predictions, stated_base
from posekit.scoring.score import Scores, score

_BATCH, _JOINTS, _MAP = 64, 16, 64
_PERSONS = 2958  # MPII's validation set
_SHAPE = f"{_BATCH}x{_JOINTS}x{_MAP}x{_MAP}"


def measure_targets(setting: Setting) -> Iterator[Measurement]:
    """Drawing a batch of target heatmaps on the CPU, per person."""
    joints, labelled = random_joints(_BATCH, _JOINTS, _MAP * STRIDE)
    works = {"ours": lambda: encode(joints, labelled, size=_MAP), "zeros": _empty_maps}
    with threads(1):
        taken = interleave(works, setting.many, title="targets")
    ours, zeros = (np.divide(times, _BATCH).tolist() for times in taken.values())
    yield Measurement(
        "targets", f"np.zeros(({_JOINTS}, {_MAP}, {_MAP}))", ours, zeros, target=TARGETS["targets"], facts={"threads": 1}
    )


def _empty_maps() -> None:
    for _ in range(_BATCH):
        np.zeros((_JOINTS, _MAP, _MAP))


def measure_loss(setting: Setting) -> Iterator[Measurement]:
    """Anchor loss forward and backward, eager and compiled."""
    joints, labelled = (tensor.to(setting.device) for tensor in random_joints(_BATCH, _JOINTS, _MAP * STRIDE))
    target = encode(joints, labelled, size=_MAP)
    logits = torch.randn(target.shape, generator=torch.Generator().manual_seed(0)).to(setting.device).requires_grad_()
    anchor = HeatmapAnchorLoss()
    ours, plain = (lambda: anchor(logits, target, labelled)), (lambda: F.binary_cross_entropy_with_logits(logits, target))
    yield _loss_figure("loss", setting, logits, ours, plain)
    ours = try_compile("loss", ours, lambda compiled: compiled().backward())
    if ours is None:
        return
    plain = try_compile("loss's yardstick", plain, lambda compiled: compiled().backward())
    if plain is not None:
        yield _loss_figure("loss, compiled", setting, logits, ours, plain)


def _loss_figure(name: str, setting: Setting, logits: torch.Tensor, ours: Callable, plain: Callable) -> Measurement:
    def both_ways(function: Callable[[], torch.Tensor]) -> None:
        logits.grad = None
        function().backward()

    works = {"ours": lambda: both_ways(ours), "plain": lambda: both_ways(plain)}
    taken = interleave(works, setting.rounds, title=name, device=setting.device)
    facts = {"logits": _SHAPE, "threads": torch.get_num_threads()}
    return Measurement(name, "torch's binary cross entropy", taken["ours"], taken["plain"], target=TARGETS[name], facts=facts)


def measure_decoding(setting: Setting) -> Iterator[Measurement]:
    """Joints of a batch of maps, on the CPU."""
    maps = encode(*random_joints(_BATCH, _JOINTS, _MAP * STRIDE), size=_MAP)
    maps += 0.05 * torch.rand(maps.shape, generator=torch.Generator().manual_seed(0))
    plain = maps.numpy().reshape(_BATCH, _JOINTS, -1)
    for method in ("quarter", "dark"):
        works = {"ours": lambda method=method: decode(maps, method=method), "argmax": lambda: plain.argmax(-1)}
        with threads(1):
            taken = interleave(works, setting.many, title="decoding")
        name, facts = f"decoding, {method}", {"maps": _SHAPE, "threads": 1}
        yield Measurement(name, "numpy's argmax", taken["ours"], taken["argmax"], target=TARGETS[name], facts=facts)


def measure_scoring(setting: Setting) -> Iterator[Measurement]:
    """PCKh of arrays; and of a prediction file, if one is given."""
    rng = np.random.default_rng(0)
    truth, head_sizes = rng.uniform(0, 1000, (_PERSONS, _JOINTS, 2)), rng.uniform(20, 100, _PERSONS)
    predicted, counted = truth + rng.normal(0, 30, truth.shape), np.ones(truth.shape[:2], bool)
    limits = 0.5 * head_sizes[:, None]
    works = {
        "ours": lambda: pckh(predicted, truth, counted, head_size_N=head_sizes).pooled_mean(),
        "plain": lambda: np.linalg.norm(predicted - truth, axis=-1) <= limits,
    }
    taken = interleave(works, setting.many, title="scoring")
    yield _scoring_figure("scoring", taken["ours"], taken["plain"], _PERSONS)
    if setting.predictions:
        yield _scoring_from_files(setting)


def _scoring_figure(name: str, ours: list[float], plain: list[float], persons: int) -> Measurement:
    facts = {"people": persons}
    return Measurement(name, "norm and compare", ours, plain, target=TARGETS.get(name), facts=facts)


def _scoring_from_files(setting: Setting) -> Measurement:
    base = 1 if stated_base(setting.predictions) is None else None

    def from_files() -> Scores:
        everyone = open_people(setting.data, setting.root, setting.split)
        predictions = read_predictions(setting.predictions, base=base, skeleton=everyone.skeleton, people=everyone)
        scores = score(everyone, predictions)
        scores.table()
        return scores

    found = []
    ours = time_ms(lambda: found.append(from_files()))  # only the first time is what a run takes: the bootstrap's draws are kept
    predicted, truth = found[0].predictions.joints, setting.everyone.joints
    limits = found[0].pck.threshold * found[0].reference_sizes[:, None]
    plain = [time_ms(lambda: np.linalg.norm(predicted - truth, axis=-1) <= limits) for _ in range(setting.rounds)]
    return _scoring_figure("scoring from files", [ours] * len(plain), plain, len(truth))
