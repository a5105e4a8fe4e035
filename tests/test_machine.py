import os
import platform
import subprocess
import sys

import pytest

from posekit import machine

COUNT_PAGE_FAULTS = """
import resource
import numpy as np
from posekit.machine import keep_freed_memory

if {keep}:
    assert keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(2**23)  # 64 MB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_freed_memory_is_kept():
    # In pages of 4 KB: with huge pages, used when memory is not fragmented, there is little to count.
    environment = {**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"}

    def pages(keep):
        command = [sys.executable, "-c", COUNT_PAGE_FAULTS.format(keep=keep)]
        return int(subprocess.run(command, capture_output=True, text=True, env=environment).stdout)

    assert pages(False) > 5 * pages(True)


def test_another_c_library_is_left_unchanged(monkeypatch):
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: object())
    assert machine.keep_freed_memory() is False
