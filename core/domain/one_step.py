"""What one step of a recipe took, measured before a long run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class OneStep:
    """The largest step of a run (its longest rows), taken twice, so that the optimiser's moments are there and buffers
    are filled; beside what was planned."""

    method: str
    peak_memory_bytes: int
    """As of a run: above what the process held before the model was loaded (CPU), or peak device memory (CUDA)."""
    estimated_memory_bytes: int
    step_seconds: float
    """Of the second time."""
    estimated_step_seconds: float
    """Of a mean step."""
    steps: int
    """Of the whole run."""
    training_seconds: float
    """All of them at this pace, shorter ones by the tokens (or pictures) that they read."""
    seconds: float
    """The whole run: the rest, before, between and after its steps, as planned."""
    estimated_seconds: float
    rows: int
    tokens: int
    """Read in the step, padding included; 0 for pictures."""
    taught: int | None = None
    """Of these, tokens that the loss counts; None where rows are what is taught."""
    precision: str = ""
    device: str = ""
    schema_version: int = 1
