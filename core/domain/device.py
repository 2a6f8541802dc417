"""The device a run computes on, as measured at first start."""

from __future__ import annotations

from dataclasses import dataclass

QUIET = 0.8
"""Share of the processor from which on a measurement counts as one of a quiet machine."""


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
    share: float = 1.0
    """Of the processor time that the measurement could use, the part that it got. Rates measured beside other work
    are those of one core by its own clock, times the cores: good for an estimate until the machine is quiet."""
    workspace_bytes: int = 0
    """What the library of matrix products takes for itself on a GPU, once a thread (32 MiB on an H100)."""

    @property
    def was_quiet(self) -> bool:
        """Whether nothing else kept the device busy while it was measured."""
        return self.share >= QUIET
