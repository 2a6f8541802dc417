"""When runs will start and end: what is under way and what waits, one after another in the slots there are."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

JUDGING_SHARE = 0.1
"""Of a run's estimated time, what evaluating and saving take after the last training step."""
FEATURES_S = 30.0
"""What a job that extracts features is counted as."""
TRUSTED_FACTOR = (0.2, 5.0)
"""However far measured runs are from their estimates, others are expected to be off by no more than these factors."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """When a run starts and ends, in seconds from now."""

    starts_s: float
    """0 for a run under way."""
    ends_s: float


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """The time that an experiment still needs, as far as it can be told."""

    left_s: float | None = None
    """Until its last run ends; None when that cannot be told, 0 when all have ended."""
    runs: Mapping[str, Stretch] = field(default_factory=dict)
    """Run id -> when it starts and ends; runs without an estimate, and those behind them, are left out."""


def schedule(under_way: Mapping[str, float | None], waiting: Sequence[tuple[str, float | None]], *,
             slots: int) -> dict[str, Stretch]:
    """Lay jobs out over the slots, in this order.

    under_way: job -> seconds left; waiting: (job, seconds it takes). None where that is not known: such a job, and
    whatever can only start after it, is left out.
    """
    unknown = float("inf")
    busy = {job: unknown if left is None else left for job, left in under_way.items()}
    found = {job: Stretch(starts_s=0.0, ends_s=left) for job, left in busy.items() if left < unknown}
    free_at = [*busy.values(), *[0.0] * (slots - len(busy))]
    heapq.heapify(free_at)
    for job, takes in waiting:
        start = heapq.heappop(free_at)
        end = unknown if takes is None else start + takes
        if end < unknown:
            found[job] = Stretch(starts_s=start, ends_s=end)
        heapq.heappush(free_at, end)
    return found


def left(estimated_s: float | None, *, elapsed_s: float, pace_s: float | None) -> float | None:
    """Seconds that a run under way still needs; None when nothing is known.

    pace_s: what training still needs at its measured pace; None before the second step.
    """
    if pace_s is not None:
        return pace_s + JUDGING_SHARE * (estimated_s or 0.0)
    if estimated_s is None:
        return None
    return max(estimated_s - elapsed_s, JUDGING_SHARE * estimated_s)


def pace(step: Mapping[str, object], *, age_s: float) -> float | None:
    """Seconds that training still needs, from the data of its newest `step` event and how old that is; None before the
    second step and after the last one."""
    done, total, seconds = (step.get(key) for key in ("step", "total_steps", "seconds"))
    numbers = [value for value in (done, total, seconds) if isinstance(value, (int, float))]
    if len(numbers) < 3 or numbers[0] < 2 or numbers[0] >= numbers[1]:
        return None
    at, of, took = numbers
    return max(0.0, took / at * (of - at) - age_s)


def share_left(step: Mapping[str, object]) -> float:
    """Of the training of a run that goes on from its last checkpoint, what is left behind its newest `step` event."""
    done, total = step.get("step"), step.get("total_steps")
    if not isinstance(done, (int, float)) or not isinstance(total, (int, float)) or total <= 0:
        return 1.0
    return min(1.0, max(0.0, 1.0 - done / total))


def factor(measured_s: Sequence[float], estimated_s: Sequence[float]) -> float:
    """How much longer than estimated the measured runs took; 1 without any."""
    low, high = TRUSTED_FACTOR
    expected = sum(estimated_s)
    return min(high, max(low, sum(measured_s) / expected)) if expected > 0 and measured_s else 1.0
