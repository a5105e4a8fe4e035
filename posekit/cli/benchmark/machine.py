"""Which machine figures were taken on, and with what software."""

import importlib.metadata
import os
import platform
from pathlib import Path

import numpy as np
import torch

from posekit import __version__
from posekit.machine import processors
from posekit.opencv import cv2


def describe_machine() -> dict[str, str | int | None]:
    """Processor, cores, threads and GPU."""
    return {
        "processor": _processor(),
        "cores": processors(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def describe_software() -> dict[str, str | None]:
    """Versions of what computes."""
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
