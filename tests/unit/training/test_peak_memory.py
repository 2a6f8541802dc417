"""What a run adds to the memory in use, above what was there before: one definition while it is under way and after."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from core.training.peak_memory import Metered, PeakMemory


def test_what_was_taken_and_given_back_counts() -> None:
    before = np.ones(60_000_000 // 8)  # is no part of it
    with PeakMemory("cpu") as peak:
        taken = np.ones(200_000_000 // 8)
        end = time.monotonic() + 20
        while peak.bytes < 150e6 and time.monotonic() < end:  # it is sampled
            time.sleep(0.02)
        del taken
    assert 150e6 < peak.bytes < 400e6 and before.nbytes == 60_000_000
    assert not peak._thread.is_alive()


def test_without_more_memory_it_is_nothing() -> None:
    assert PeakMemory("cpu").bytes == 0


class Notes:
    """An observer that keeps the steps."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []

    def step(self, **data: Any) -> None:
        self.steps.append(data)


def test_a_step_says_what_the_run_adds_and_the_peak_is_never_below() -> None:
    notes = Notes()
    with PeakMemory("cpu") as peak:
        reporter = Metered(notes, peak)  # type: ignore[arg-type]
        reporter.step(step=1)
        held = bytearray(120_000_000)
        held[::4096] = b"x" * len(held[::4096])  # touched, so that it is there
        reporter.step(step=2)
        del held
    first, second = (step["memory_bytes"] for step in notes.steps)
    assert second - first > 0.8 * 120_000_000
    assert second < 10 * 120_000_000, "without the libraries, which the process held before"
    assert peak.bytes >= second
