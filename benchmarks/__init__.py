"""Measure posekit's speed as ratios to plain yardsticks in the same run; the command is `tools/benchmark.py`."""

import posekit  # noqa: F401  # before torch: it sets how OpenMP's threads wait

# isort: split

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.inference import measure_inference, measure_pyramid
from benchmarks.input import measure_input, measure_workers
from benchmarks.kernels import measure_decoding, measure_loss, measure_scoring, measure_targets
from benchmarks.process import measure_busy, measure_memory
from benchmarks.ratio import Ratio
from benchmarks.report import comparison, describe_run, headline, line, read_json, table, write_json
from benchmarks.setting import Setting
from benchmarks.training import measure_training
from posekit.choices import BACKENDS
from posekit.command_line import add_source_options, positive, run_command
from posekit.data import WITH_IMAGES
from posekit.errors import ConfigError
from posekit.machine import keep_freed_memory
from posekit.prediction.backends import find_device

_DESCRIPTION = """\
Measure posekit's speed as ratios to yardsticks in the same run: posekit, yardstick, posekit, ... in turn.
A figure is the median of the pairs' ratios, with its quartiles; a lasting disturbance of the machine affects both of a pair.
Without --root, the parts that need no images are measured, on random numbers."""

_EPILOG = """\
examples:
  all parts that need no images
    %(prog)s
  everything, on LSPET's images; about five minutes on two cores
    %(prog)s --data lsp --root data/lspet --json cpu.json
  everything on a GPU, in ten minutes
    %(prog)s --device cuda --data lsp --root data/lspet --json gpu.json
  after a change: which parts became faster or slower
    %(prog)s --only loss decoding --against cpu.json
  the large images of MPII
    %(prog)s --data mpii --root data/mpii --split valid --only input workers

parts and their yardsticks:
  input      read the image, draw an augmentation, one affine warp, colours, collate, normalise, draw the targets;
             one thread. Against cv2.imread, one cv2.warpAffine to the same crops, a float CHW tensor
  workers    people per second of the loader with 2, 4, ... workers, up to the processors. Against one worker times
             their number; and the same of plain processes that do the input's yardstick, which shows how the machine scales
  targets    a batch of 64 x 16 target maps, per person; one thread. Against np.zeros((16, 64, 64))
  loss       anchor loss, forward and backward, on 64 x 16 maps of 64 px. Against torch's binary cross entropy, both
             eager, then both under torch.compile
  decoding   joints of 64 x 16 maps, by quarter offset and DARK; one thread. Against numpy's argmax
  scoring    PCKh of 2,958 people from arrays. Against the bare distances compared with the threshold. With
             --predictions also from the files to the table, once, as in a run of `eval`
  pyramid    people from image to joints over six scales with flipping, by a 2-stack hourglass of 256 features.
             Against as many plain forward passes of the same crops
  inference  crops to heatmaps by every available back end; the first is posekit's default for longer work; on a GPU
             in bf16 and fp16 too. Against plain torch: one forward pass of float32 crops
  training   steps of the training engine from crops in memory, 2 stacks (on a GPU 8 too) of 256 features: TFLOP/s
             against the machine's own matrix products and 3x3 convolutions in the same precision; the targets' share
             of a step; with images, the share spent waiting for the loader
  busy       training steps of a small network on the CPU, on a free machine and beside as many other processes as there
             are processors. Against threads that wait spinning, for OpenMP's default time
  memory     the same steps on a free machine, keeping freed memory. Against returning it each time"""

Part = Callable[[Setting], Iterator[Ratio]]
_WITH_IMAGES = ("input", "workers", "pyramid")
_PARTS: dict[str, Part] = {
    "decoding": measure_decoding,
    "scoring": measure_scoring,
    "pyramid": measure_pyramid,
    "inference": measure_inference,
    "busy": measure_busy,
    "memory": measure_memory,
    "input": measure_input,
    "workers": measure_workers,
    "targets": measure_targets,
    "loss": measure_loss,
    "training": measure_training,
}
# Parts of training, in which posekit keeps freed memory; the setting is permanent, so these come last.
_IN_TRAINING = ("input", "workers", "targets", "loss", "training")
_CPU_BATCH, _GPU_BATCH = 4, 64


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(_parser(prog), _run, argv)


def _parser(prog: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog, description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add_source_options(parser, WITH_IMAGES, required=False)
    parser.set_defaults(data="lsp")
    add("--split", default="all", metavar="NAME", help="split of the data set (default: all)")
    add("--only", nargs="+", choices=tuple(_PARTS), metavar="PART", help=f"of {', '.join(_PARTS)} (default: all possible ones)")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="for the loss and the network (default: auto)")
    add("--people", type=positive, default=512, metavar="N", help="people for the input path (default: 512)")
    add("--size", type=positive, default=256, metavar="PX", help="side of the crops, a multiple of 64 (default: 256)")
    add("--batch", type=positive, metavar="N", help=f"people in a training step (default: {_CPU_BATCH}, on a GPU {_GPU_BATCH})")
    add("--rounds", type=positive, default=9, metavar="N", help="pairs of each figure; half if one takes seconds (default: 9)")
    add("--backend", choices=BACKENDS, default="auto", help="back end for inference (default: auto: all)")
    add("--predictions", type=Path, metavar="FILE", help="prediction file of the split to score, 1-based unless it states its base")
    add("--json", type=Path, metavar="FILE", help="write all measurements to this file, after each part")
    add("--against", type=Path, metavar="FILE", help="compare with an earlier run's --json file")
    return parser


def _run(args: argparse.Namespace) -> None:
    parts = _choose_parts(args)
    earlier = read_json(args.against) if args.against else None
    setting = _setting(args)
    run = describe_run(setting.comparable())
    ratios: list[Ratio] = []

    def write() -> None:
        if args.json:
            write_json(args.json, run, ratios)

    print(headline(run))
    write()  # report a path that cannot be written before long work
    for part in parts:
        if part in _IN_TRAINING and setting.device.type == "cpu":
            keep_freed_memory()  # as training does; yardsticks benefit too
        for ratio in _PARTS[part](setting):
            ratios.append(ratio)
            print(line(ratio), flush=True)
            write()
    if ratios:
        print(f"\n{table(ratios)}")
    if earlier:
        print(f"\n{comparison(ratios, run, earlier)}")


def _choose_parts(args: argparse.Namespace) -> list[str]:
    if args.predictions and not args.root:
        raise ConfigError("--predictions needs --root DIR, the data set of the predicted people")
    parts = [part for part in _PARTS if part in (args.only or _PARTS)]
    if args.root:
        return parts
    left_out = [part for part in _WITH_IMAGES if part in parts]
    if left_out and args.only:
        raise ConfigError(f"--only {left_out[0]} needs images: give --root DIR")
    if left_out:
        print(f"no images without --root DIR: {', '.join(left_out)} and waiting for data are left out")
    return [part for part in parts if part not in left_out]


def _setting(args: argparse.Namespace) -> Setting:
    if args.size % 64:
        raise ConfigError(f"--size {args.size}: must be a multiple of 64")
    device = find_device(args.device)
    return Setting(
        device=device,
        data=args.data,
        split=args.split,
        root=args.root,
        people=args.people,
        size=args.size,
        batch=args.batch or (_CPU_BATCH if device.type == "cpu" else _GPU_BATCH),
        rounds=args.rounds,
        backend=args.backend,
        predictions=args.predictions,
    )
