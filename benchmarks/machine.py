"""What the figures were measured on."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.measure import available_cores

_PACKAGES = (
    "av",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "pycocotools",
    "decord",
    "imageio-ffmpeg",
    "torch",
    "torchcodec",
)


def describe_machine() -> dict[str, Any]:
    """Cores, processor, memory, how busy it was, and the versions of what ran."""
    return {
        "cores": len(available_cores()),
        "cpu": _cpu(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_average_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "ffmpeg": _ffmpeg_version(),
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _ffmpeg_version() -> str:
    try:
        import imageio_ffmpeg

        binary = imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        return "not installed"
    shown = subprocess.run([binary, "-version"], capture_output=True, text=True, check=True)
    return shown.stdout.split()[2]
