"""The peak of a run's memory is what it took above what was there before."""

from __future__ import annotations

import time

import numpy as np

from core.training.peak_memory import PeakMemory


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
