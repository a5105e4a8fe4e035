"""Benchmarks: posekit's speed relative to simple reference code, measured in the same run by `tools/benchmark.py`."""

import posekit  # noqa: F401  # before torch: posekit sets how long OpenMP's idle threads spin

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
from posekit.choices import BACKENDS, IMAGE_DATASETS
from posekit.command_line import add_source_options, new_parser, positive, run_command
from posekit.errors import ConfigError
from posekit.machine import keep_freed_memory
from posekit.prediction.backends import find_device

_DESCRIPTION = """\
Compare posekit's speed with yardsticks: simple reference code that runs on the same machine.

posekit and the yardstick run alternately. Each pair of runs gives a ratio, posekit / yardstick; the command prints the
median and the quartiles of the ratios. If the machine is slow for a while, both runs of a pair are slow, and their ratio
changes little. Without --root, only the parts that need no images are measured, on random input."""

_EPILOG = """\
examples:
  all parts that need no images
    %(prog)s
  all parts, on the images of LSPET; about five minutes on two cores
    %(prog)s --data lsp --root data/lspet --json cpu.json
  all parts on a GPU; about ten minutes
    %(prog)s --device cuda --data lsp --root data/lspet --json gpu.json
  after a change to the code: show which parts became faster or slower
    %(prog)s --only loss decoding --against cpu.json
  loading of MPII's large images
    %(prog)s --data mpii --root data/mpii --split valid --only input workers

parts and their yardsticks:
  input      load training crops in one thread: read the image, warp it with a random augmentation, change its colours,
             collate, normalise, draw the target heatmaps
             yardstick: cv2.imread, cv2.warpAffine with the same matrix, conversion to a float CHW tensor
  workers    data loader with 2, 4, ... workers, up to the number of processors: people per second
             yardstick: the rate of one worker times the number of workers. For comparison, plain processes that run
             the yardstick of "input" are measured too; they show how well the machine scales
  targets    draw the 16 target heatmaps of each person, in batches of 64 people, in one thread
             yardstick: np.zeros((16, 64, 64))
  loss       anchor loss, forward and backward, on 64 x 16 heatmaps of 64 x 64 pixels; eager, then with torch.compile
             yardstick: torch's binary cross entropy, also eager, then with torch.compile
  decoding   find the joints in 64 x 16 heatmaps, by quarter offset and by DARK, in one thread
             yardstick: numpy's argmax
  scoring    PCKh of 2,958 people whose joints are in arrays
             yardstick: compute the distances with numpy and compare them with the threshold
             With --predictions, one complete evaluation as in `eval` is timed too: load the files, score, build the table
  pyramid    predict people from images at six scales and mirrored, with an hourglass of 2 stacks and 256 features
             yardstick: plain forward passes of the same crops
  inference  predict heatmaps of crops with each available inference backend, first with posekit's default for long
             runs. On a GPU, also in bf16 and fp16
             yardstick: one forward pass in plain torch, float32
  training   training steps on crops in memory: 2 stacks (on a GPU also 8) of 256 features, in TFLOP/s
             yardstick: matrix products, and 3x3 convolutions, in the same precision
             Also the fraction of a step spent drawing target heatmaps and, with images, waiting for the data loader
  busy       training steps of a small network on the CPU: on an idle machine, and while one other process per processor
             is computing
             yardstick: the same steps, with OpenMP's default spinning time for idle threads
  memory     the same training steps on an idle machine, with freed memory kept in the process
             yardstick: freed memory returned to the system each time"""

_WITH_IMAGES = ("input", "workers", "pyramid")
_PARTS: dict[str, Callable[[Setting], Iterator[Ratio]]] = {
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
# Parts that run with `keep_freed_memory`, as training does. That setting cannot be undone, so these parts run last.
_IN_TRAINING = ("input", "workers", "targets", "loss", "training")
_CPU_BATCH, _GPU_BATCH = 4, 64


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return the exit status."""
    return run_command(_parser(prog), _run, argv)


def _parser(prog: str | None) -> argparse.ArgumentParser:
    parser = new_parser(prog, _DESCRIPTION, _EPILOG)
    add = parser.add_argument
    add_source_options(parser, IMAGE_DATASETS, required=False)
    parser.set_defaults(data="lsp")
    add("--split", default="all", metavar="NAME", help="split of the data set (default: all)")
    add(
        "--only",
        nargs="+",
        choices=tuple(_PARTS),
        metavar="PART",
        help=f"parts to measure: {', '.join(_PARTS)} (default: all; without --root, all parts that need no images)",
    )
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="device for the loss and the network (default: auto)")
    add("--people", type=positive, default=512, metavar="N", help="number of people to load in part input (default: 512)")
    add("--size", type=positive, default=256, metavar="PX", help="width and height of the crops, a multiple of 64 (default: 256)")
    add("--batch", type=positive, metavar="N", help=f"people per training step (default: {_CPU_BATCH}, on a GPU {_GPU_BATCH})")
    add(
        "--rounds",
        type=positive,
        default=9,
        metavar="N",
        help="pairs of runs per ratio; slow parts use half as many on a CPU, fast parts five times as many (default: 9)",
    )
    add("--backend", choices=BACKENDS, default="auto", help="inference backend to measure (default: auto, all backends)")
    add(
        "--predictions",
        type=Path,
        metavar="FILE",
        help="prediction file of the split, evaluated in part scoring; the pixel base is 1 if FILE does not state the base",
    )
    add("--json", type=Path, metavar="FILE", help="write all measurements to FILE, updated after each ratio")
    add("--against", type=Path, metavar="FILE", help="compare with FILE, written by --json in an earlier run")
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
    write()  # fail before the measurements if the file cannot be written
    for part in parts:
        if part in _IN_TRAINING and setting.device.type == "cpu":
            keep_freed_memory()  # as training does; the yardsticks benefit too
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
        raise ConfigError("--predictions needs the data set of the predicted people: add --root DIR")
    parts = [part for part in _PARTS if part in (args.only or _PARTS)]
    if args.root:
        return parts
    left_out = [part for part in _WITH_IMAGES if part in parts]
    if left_out and args.only:
        raise ConfigError(f"--only {left_out[0]} needs images: add --root DIR")
    if left_out:
        print(
            f"skipped because they need images: {', '.join(left_out)}, waiting for data in training; add --root DIR to measure them"
        )
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
