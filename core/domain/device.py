"""The device a run computes on, as measured at first start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Device:
    """What `python -m core.training.device` measured, stored as `device.json` in the data folder."""

    kind: str
    """`cuda` or `cpu`."""
    name: str
    memory_bytes: int
    """Total memory of the device (RAM for a CPU)."""
    cores: int
    fp32_gflops: float
    """Measured matrix-multiply rate, billions of operations a second."""
    bf16_gflops: float
    precision: str
    """The faster of `fp32` and `bf16` by that measurement (`fp16` on older GPUs)."""
    versions: dict[str, str]
    measured: float
    """Unix time in seconds."""
    workspace_bytes: int = 0
    """What the library of matrix products takes for itself on a GPU, once a thread (32 MiB on an H100)."""
