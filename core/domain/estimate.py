"""Memory and time before a run starts: plain formulas over `ModelFacts`, no torch.

Weights, gradients and optimiser state are counted exactly (Adam keeps two fp32 moments a trained parameter);
activations come from what inspecting the model measured, scaled by batch and length.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """Bytes by part, and the badge they earn on a device."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    adapters: int
    available: int
    """Bytes the device has free for a run."""
    advice: tuple[str, ...] = ()
    """What to change, most effective first, when it is tight or will not fit."""

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations + self.adapters

    @property
    def badge(self) -> str:
        """`fits` (up to 80 % of what is available), `tight` (up to 100 %), `will not fit`."""
        share = self.total / max(1, self.available)
        return "fits" if share <= 0.8 else "tight" if share <= 1.0 else "will not fit"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Everything the Train page says before start, for one recipe."""

    memory: MemoryEstimate
    seconds: float
    """Expected wall seconds on this device."""
    trainable_params: int
    total_params: int
    steps: int
