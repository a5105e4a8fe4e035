"""Memory while training from packed people."""

import os
import subprocess
import sys

import pytest

from posekit.data import open_people
from posekit.data.packing import Packing, write_pack

_TRAINED = """
import multiprocessing, os, sys
from pathlib import Path
from posekit.tasks.pose.build import build_engine, build_people
from posekit.training.build import build_accelerator
from posekit.tasks.pose.config import DataConfig, PoseConfig
from posekit.training.config import ModelConfig, SourceConfig, TrainConfig

pack, out, workers = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
source = [SourceConfig("packed", pack)]
config = PoseConfig(
    DataConfig(train=source, valid=source),
    model=ModelConfig(stacks=1, features=8, depth=2, input_size=64),
    train=TrainConfig(epochs=20, batch_size=8, ema=0.9, device="cpu", workers=workers),
)
people, accelerator = build_people(config.data), build_accelerator(config)
engine = build_engine(config, *people, out=out, accelerator=accelerator, resume=False)
add = engine.log.add

def print_memory(row):
    add(row)
    pids = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
    print(sum(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20)

engine.log.add = print_memory
engine.run()
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_memory_does_not_grow_with_the_epochs(real_data, tmp_path, workers):
    """Memory of all processes. Keeping a 64 px crop of each sample would add 18 MB; decoded images would add 100 MB or more."""
    pack = tmp_path / "people.h5"
    write_pack(pack, open_people("lsp", real_data / "lspet", "random:0.02:0"), Packing(side=608), workers=1, progress=False)
    command = [sys.executable, "-c", _TRAINED, pack, tmp_path / "run", str(workers)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # with more threads, the processes would wait for each other
    shown = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    used = [float(line) for line in shown.splitlines()]
    assert len(used) == 20
    assert used[-1] - used[2] < 12, used
