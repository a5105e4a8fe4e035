import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import training
from benchmarks.input import worker_counts
from benchmarks.ratio import Ratio, Target, interleave
from benchmarks.report import line, table
from posekit.models import StackedHourglass
from posekit.skeletons import MPII16
from posekit.tasks.pose.config import DataConfig, PoseConfig
from posekit.training.config import ModelConfig, SourceConfig


def test_a_ratio_is_the_median_of_the_pairs_not_of_the_times():
    ratio = Ratio("a", "b", [10, 40, 30], [10, 20, 10])  # pairs 1, 2, 3; medians 30 and 10
    assert ratio.median == 2
    assert ratio.quartiles == (1.5, 2.5)


@pytest.mark.parametrize(
    ("values", "unit", "target", "met"),
    [
        ([2.0], "ms", Target(2), True),
        ([2.1], "ms", Target(2), False),
        ([2.1], "people/s", Target(2), True),
        ([1.9], "people/s", Target(2), False),
        ([2.0], "ms", Target(4, ms=2), True),
        ([2.0], "ms", Target(4, ms=1.9), False),
        ([2.0], "ms", None, None),
    ],
)
def test_targets_bound_times_from_above_and_rates_from_below(values, unit, target, met):
    assert Ratio("a", "b", values, [1.0], unit, target).to_dict()["met"] is met


def test_a_line_and_a_table_show_the_target():
    times = Ratio("loss", "b", [2.5], [2.0], target=Target(1.3, ms=5), facts={"threads": 2})
    rate = Ratio("2 workers", "twice one", [1500.0], [2000.0], "people/s", Target(0.9))
    assert line(times) == "loss: 2.5 ms, b 2 ms, ratio 1.25 (1.25 to 1.25; target at most 1.3 and 5 ms: met); threads 2"
    head, first, second = table([times, rate]).splitlines()
    assert head.split() == ["figure", "posekit", "yardstick", "ratio", "quartiles", "target"]
    assert first.endswith("at most 1.3 and 5 ms  met") and second.endswith("at least 0.9          missed")
    assert second.startswith("2 workers  1,500 people/s  2,000 people/s, twice one")


def test_works_are_done_in_turn_after_one_round_of_warming_up():
    calls = []
    times = interleave({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2, title="t")
    assert calls == ["a", "b"] * 3
    assert {name: len(values) for name, values in times.items()} == {"a": 2, "b": 2}


def test_works_run_in_the_given_number_of_threads():
    before = torch.get_num_threads()
    threads = []
    interleave({"a": lambda: threads.append(torch.get_num_threads())}, 1, title="t", threads=before + 1)
    assert threads == [before + 1] * 2
    assert torch.get_num_threads() == before


def test_posekit_is_loaded_before_torch():
    """Only then does its setting of waiting threads have an effect."""
    code = "import sys, benchmarks; modules = list(sys.modules); print(modules.index('posekit') < modules.index('torch'))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "True\n"


@pytest.mark.parametrize(("highest", "counts"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_workers_are_doubled_up_to_the_processors(highest, counts):
    assert worker_counts(highest) == counts


def test_counted_operations_are_those_of_a_real_step():
    source = SourceConfig("lsp", "")
    config = PoseConfig(DataConfig([source], [source]), ModelConfig(stacks=1, features=8, depth=2, input_size=32))
    with FlopCounterMode(display=False) as counter:
        (output,) = StackedHourglass(stacks=1, features=8, depth=2)(torch.randn(3, 3, 32, 32))
        output.sum().backward()
    counted = training.count_operations(config, MPII16, 3)
    assert counted == counter.get_total_flops() > 0
    assert training.count_operations(config, MPII16, 6) == 2 * counted
