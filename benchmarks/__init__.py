"""`posekit benchmark`: posekit's speed as ratios to plain yardsticks, measured in the same run."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.figure import Measurement
from benchmarks.inference import measure_inference, measure_pyramid
from benchmarks.input import measure_input, measure_workers
from benchmarks.kernels import measure_decoding, measure_loss, measure_scoring, measure_targets
from benchmarks.process import measure_busy, measure_memory
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
Measure posekit's speed, each figure as a ratio to a yardstick in the same run: posekit, yardstick, posekit, ... in turn.
A figure is the median of the pairs' ratios, with its quartiles; what disturbs the machine for longer disturbs both of a pair.
Without --root, what needs no photographs is measured, on numbers drawn at random."""

_EPILOG = """\
examples:
  what needs no photographs
    %(prog)s
  everything, on LSPET's photographs; some five minutes on two cores
    %(prog)s --data lsp --root data/lspet --json cpu.json
  everything on a GPU, in ten minutes: the one script that does it all
    %(prog)s --device cuda --data lsp --root data/lspet --json gpu.json
  after a change: what became faster, what slower, by more than chance
    %(prog)s --only loss decoding --against cpu.json
  the large photographs of MPII that are there
    %(prog)s --data mpii --root data/mpii --split valid --only input workers

parts, and what each is measured against:
  input      read the photograph, draw an augmentation, one affine warp, colours, collate, normalise, draw the targets;
             one thread. Against cv2.imread, one cv2.warpAffine to the same crops, a float CHW tensor
  workers    people per second of the loader with 2, 4, ... workers, up to the processors. Against so many times one
             worker's; and the same of plain processes that do the input's yardstick: what the machine itself scales to
  targets    a batch of 64 x 16 target maps, per person; one thread. Against np.zeros((16, 64, 64))
  loss       anchor loss, forward and backward, on 64 x 16 maps of 64 px. Against torch's binary cross entropy, both
             eager, then both under torch.compile
  decoding   joints of 64 x 16 maps, by quarter offset and DARK; one thread. Against numpy's argmax
  scoring    PCKh of 2,958 people from arrays. Against the bare distances compared with the threshold. With
             --predictions also from the files to the table, once, as a run of `eval` does
  pyramid    people from photograph to joints over six scales with flipping, by a 2-stack hourglass of 256 features.
             Against as many plain forward passes of the same crops
  inference  crops to heatmaps by every back end that is there; the first is what posekit takes by itself for longer
             work; on a GPU in bf16 and fp16 too. Against plain torch: one forward pass of float32 crops
  training   steps of the training engine from crops in memory, 2 stacks (on a GPU 8 too) of 256 features: TFLOP/s
             against the machine's own matrix products and 3x3 convolutions in the same precision; the targets' share
             of a step; with photographs, the share that is waiting for the loader
  busy       training steps of a small network on the CPU, on a free machine and beside as many other processes as there
             are processors. Against threads that wait spinning, for as long as OpenMP lets them by itself
  memory     the same steps on a free machine, keeping the memory that is freed. Against giving it back each time"""

Part = Callable[[Setting], Iterator[Measurement]]
_WITH_PHOTOGRAPHS = ("input", "workers", "pyramid")
_IN_PREDICTION: dict[str, Part] = {
    "decoding": measure_decoding,
    "scoring": measure_scoring,
    "pyramid": measure_pyramid,
    "inference": measure_inference,
    "busy": measure_busy,
    "memory": measure_memory,
}
_IN_TRAINING: dict[str, Part] = {
    "input": measure_input,
    "workers": measure_workers,
    "targets": measure_targets,
    "loss": measure_loss,
    "training": measure_training,
}
_PARTS = _IN_PREDICTION | _IN_TRAINING
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
    add("--split", default="all", metavar="NAME", help="which of its people (default: all)")
    add("--only", nargs="+", choices=tuple(_PARTS), metavar="PART", help=f"of {', '.join(_PARTS)} (default: all that can be)")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="for the loss and the network (default: auto)")
    add("--people", type=positive, default=512, metavar="N", help="how many the input path is measured on (default: 512)")
    add("--size", type=positive, default=256, metavar="PX", help="side of the crops, a multiple of 64 (default: 256)")
    add("--batch", type=positive, metavar="N", help=f"people in a training step (default: {_CPU_BATCH}, on a GPU {_GPU_BATCH})")
    add("--rounds", type=positive, default=9, metavar="N", help="pairs of each figure; half where one takes seconds (default: 9)")
    add("--backend", choices=BACKENDS, default="auto", help="what inference is measured of (default: auto: all)")
    add("--predictions", type=Path, metavar="FILE", help="prediction file of the split, 1-based if it does not say, to score")
    add("--json", type=Path, metavar="FILE", help="write everything measured to this file; it grows part by part")
    add("--against", type=Path, metavar="FILE", help="compare with what --json wrote earlier")
    return parser


def _run(args: argparse.Namespace) -> None:
    parts = _chosen(args)
    earlier = read_json(args.against) if args.against else None
    setting = _setting(args)
    run, figures = describe_run(setting.settings()), []
    print(headline(run))
    _write(args, run, figures)  # a place that cannot be written is told before long work
    for part in parts:
        if part in _IN_TRAINING and setting.device.type == "cpu":
            keep_freed_memory()  # as training does, for good; yardsticks gain by it too
        for figure in _PARTS[part](setting):
            figures.append(figure)
            print(line(figure), flush=True)
            _write(args, run, figures)
    if figures:
        print(f"\n{table(figures)}")
    if earlier:
        print(f"\n{comparison(figures, run, earlier)}")


def _write(args: argparse.Namespace, run: dict, figures: Sequence[Measurement]) -> None:
    if args.json:
        write_json(args.json, run, figures)


def _chosen(args: argparse.Namespace) -> list[str]:
    """Which parts are measured."""
    if args.predictions and not args.root:
        raise ConfigError("--predictions needs --root DIR, the people who are predicted")
    lacking = [] if args.root else [part for part in _WITH_PHOTOGRAPHS if part in (args.only or _PARTS)]
    if lacking and args.only:
        raise ConfigError(f"--only {lacking[0]} needs photographs: give --root DIR")
    if lacking:
        print(f"without --root DIR there are no photographs: {', '.join(lacking)} and the wait for data are left out")
    return [part for part in _PARTS if part in (args.only or _PARTS) and part not in lacking]


def _setting(args: argparse.Namespace) -> Setting:
    if args.size % 64:
        raise ConfigError(f"--size {args.size}: the network takes multiples of 64")
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
