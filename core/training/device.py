"""Measure the device once: which precision is faster here, and how fast. `python -m core.training.device` writes
device.json."""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
import time
from pathlib import Path

import psutil
import torch

from core import files
from core import settings as settings_module
from core.domain import codec
from core.domain.device import QUIET, Device
from core.settings import Settings

PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "datasets", "accelerate", "scikit-learn", "numpy",
            "streamlit", "plotly")
SHAPES = {"cpu": (256, 384, 1536), "cuda": (4096, 1024, 4096)}
"""Rows, width and inner width of the product that is timed. A GPU spends a small one on starting it: an H100 shows 12
of its 744 TFLOP/s of bf16 on the shape for a CPU, 478 on its own."""
BF16_GAIN = 1.15
"""bf16 is chosen where it is at least this much faster: below that the rounding is not worth it."""


def measure(settings: Settings) -> Device:
    """Time matrix products of a transformer's shape in fp32 and bf16 (about a second) and write `device.json`.

    The fastest rates measured on this device while it was quiet stay; what was measured beside other work gives way to
    them.
    """
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    if settings.threads:
        torch.set_num_threads(settings.threads)
    fp32, share = _rate(torch.float32, kind)
    bf16_supported = kind == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False)
    bf16, share_bf16 = _rate(torch.bfloat16, kind) if bf16_supported else (0.0, 1.0)
    share = min(share, share_bf16)
    earlier = _earlier(settings, kind)
    if earlier is not None and earlier.was_quiet and share < QUIET:
        fp32, bf16, share = earlier.fp32_gflops, earlier.bf16_gflops, earlier.share
    elif earlier is not None and earlier.was_quiet == (share >= QUIET):
        fp32, bf16 = max(fp32, earlier.fp32_gflops), max(bf16, earlier.bf16_gflops)
    precision = "bf16" if bf16 > BF16_GAIN * fp32 else "fp16" if kind == "cuda" and not bf16_supported else "fp32"
    workspace = int(torch.cuda.memory_allocated()) if kind == "cuda" else 0  # all that is left of the products
    device = Device(kind=kind, name=_name(kind), memory_bytes=_memory(kind), cores=psutil.cpu_count(logical=True) or 1,
                    fp32_gflops=fp32, bf16_gflops=bf16, precision=precision, versions=versions(), measured=time.time(),
                    share=share, workspace_bytes=workspace)
    files.write_json(settings.home / "device.json", codec.to_json(device))
    return device


def read(settings: Settings) -> Device:
    """The measured device; measured now when `device.json` is missing, of another torch, or of another kind of
    device."""
    return _earlier(settings, "cuda" if torch.cuda.is_available() else "cpu") or measure(settings)


def _earlier(settings: Settings, kind: str) -> Device | None:
    """What `device.json` says, where it was measured on this kind of device with this torch."""
    path = settings.home / "device.json"
    if not path.is_file():
        return None
    try:
        device = codec.from_json(Device, json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError):
        return None
    known = device.kind == kind and device.name == _name(kind) and device.versions.get("torch") == torch.__version__
    return device if known else None


def _rate(dtype: torch.dtype, kind: str, seconds: float = 0.4) -> tuple[float, float]:
    """Billions of operations a second of a product of this kind's shape, the fastest one within `seconds`; and the
    share of the processor that it got.

    Beside other work the clock on the wall runs on while this process waits for its turn. Then one core's own clock
    counts, times the cores.
    """
    rows, width, inner = SHAPES[kind]
    left = torch.randn(rows, width, device=kind).to(dtype)
    right = torch.randn(width, inner, device=kind).to(dtype)
    fastest, start, used = math.inf, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds or math.isinf(fastest):
        began = time.perf_counter()
        left @ right
        if kind == "cuda":
            torch.cuda.synchronize()
        fastest = min(fastest, time.perf_counter() - began)
    threads, share = torch.get_num_threads(), 1.0
    if kind == "cpu":
        share = min(1.0, (time.process_time() - used) / (time.perf_counter() - start) / threads)
    if share < QUIET:
        fastest = min(fastest, _by_its_own_clock(left, right) / threads)
    return 2 * rows * width * inner / fastest / 1e9, share


def _by_its_own_clock(left: torch.Tensor, right: torch.Tensor, repeats: int = 20) -> float:
    """Processor seconds of the product on one thread, the least of a few."""
    fastest, threads = math.inf, torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in range(repeats):
            began = time.thread_time()
            left @ right
            fastest = min(fastest, time.thread_time() - began)
    finally:
        torch.set_num_threads(threads)
    return fastest


def _name(kind: str) -> str:
    if kind == "cuda":
        return torch.cuda.get_device_name(0)
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory(kind: str) -> int:
    if kind == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory)
    total = int(psutil.virtual_memory().total)
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text(encoding="utf-8").strip()).isdigit():
        return min(total, int(text))
    return total


def versions() -> dict[str, str]:
    """Installed versions of the packages that decide a result."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | {"torch": torch.__version__}


if __name__ == "__main__":
    measure(settings_module.load())
