"""CPU cores, memory settings and compilation errors of this process, and descriptions of hardware and software for reports."""

import ctypes
import importlib.metadata
import os
import platform
from pathlib import Path

from posekit import __version__

# Options of mallopt, from glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGEST = 2**31 - 1
_LARGEST_IN_OLD_GLIBC = 2**25


def processors() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_freed_memory() -> bool:
    """Make the C library keep freed memory for reuse instead of returning it to the operating system each time.

    A training step on the CPU allocates and frees hundreds of megabytes. By default glibc requests new memory for every large
    array, and the operating system zeroes each 4 KB page at its first use, which takes time. When freed memory is kept, the process
    holds more memory between steps; the peak memory of training the hourglass changed by less than 5 %.

    Returns
    -------
    bool : True if the C library accepts the settings (glibc does).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    kept = mallopt(_M_MMAP_THRESHOLD, _LARGEST) or mallopt(_M_MMAP_THRESHOLD, _LARGEST_IN_OLD_GLIBC)
    return bool(mallopt(_M_TRIM_THRESHOLD, _LARGEST) and kept)


def why_not_compiled(error: RuntimeError) -> str | None:
    """Return the reason why `torch.compile` failed, as one line; None if `error` is not an error of `torch.compile`."""
    # Compare class names, because importing the class from torch takes a second.
    if not any(base.__name__ == "TorchDynamoException" for base in type(error).__mro__):
        return None
    return str(getattr(error, "inner_exception", error)).strip().splitlines()[0]


def describe_machine() -> dict[str, str | int | None]:
    """Return the names of the processor and the GPU, and the numbers of cores and threads."""
    import torch

    return {
        "processor": _processor_name(),
        "cores": processors(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def describe_software() -> dict[str, str | None]:
    """Return the versions of posekit, Python, and the packages that influence results and speed."""
    import numpy as np
    import torch

    from posekit.images import cv2

    return {
        "posekit": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "onnxruntime": _version("onnxruntime"),
    }


def describe_load() -> float | None:
    """Return the load average of the last minute; None on systems without load averages."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _processor_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
