"""Memory that is freed stays with the process, where the C library can be told so."""

import os
import platform
import subprocess
import sys

import pytest

from posekit import machine

SYSTEM_TIME = """
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_pages_are_asked_for_once_instead_of_each_time():
    # In pages of 4 KB: with huge ones, which there are when memory is not scattered, there is little to count.
    environment = {**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"}

    def pages(keep):
        command = [sys.executable, "-c", SYSTEM_TIME.format(keep=keep)]
        return int(subprocess.run(command, capture_output=True, text=True, env=environment).stdout)

    assert pages(False) > 5 * pages(True)


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: object())
    assert machine.keep_freed_memory() is False
