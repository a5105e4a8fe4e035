"""What this process may have of the machine, and what the machine lacks."""

import ctypes
import importlib.metadata
import os
import platform
from pathlib import Path

from posekit import __version__

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST, _OLD_LARGEST = 2**31 - 1, 2**25  # older versions refuse more


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_freed_memory() -> bool:
    """Let a process keep the memory that it frees, to use it again, instead of giving it back to the system each time.

    A training step on the CPU frees and takes hundreds of megabytes. By default each large array is taken from the system
    anew, which hands out every page of 4 KB, zeroed, at its first use. Between steps the process holds more; the peak of
    training the hourglass was the same within 5 %.

    Returns
    -------
    bool : whether the C library is one that can be told so (glibc).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or none that can be found like that
        return False
    kept = mallopt(_M_MMAP_THRESHOLD, _LARGEST) or mallopt(_M_MMAP_THRESHOLD, _OLD_LARGEST)
    return bool(mallopt(_M_TRIM_THRESHOLD, _LARGEST) and kept)


def why_not_compiled(error: RuntimeError) -> str | None:
    """In a line, why `torch.compile` could not do its work on this machine; None for any other error."""
    # By name: importing torch's compiler to have its class takes a second.
    if not any(kind.__name__ == "TorchDynamoException" for kind in type(error).__mro__):
        return None
    return str(getattr(error, "inner_exception", error)).strip().splitlines()[0]


def describe_machine() -> dict[str, str | int | None]:
    """Processor, cores, threads and GPU."""
    import torch

    return {
        "processor": _processor(),
        "cores": processors(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def describe_software() -> dict[str, str | None]:
    """Versions of the packages that compute."""
    import numpy as np
    import torch

    from posekit.opencv import cv2

    return {
        "posekit": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "onnxruntime": _version("onnxruntime"),
    }


def describe_load() -> float | None:
    """Processes that ran or waited in the last minute, on average; None where the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
