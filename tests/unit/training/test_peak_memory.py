"""What a run adds to the memory in use, above what was there before: one definition while it is under way and after."""

from __future__ import annotations

import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.domain.run import Phase
from core.training import peak_memory
from core.training.peak_memory import Metered, PeakMemory


def test_what_was_taken_and_given_back_counts() -> None:
    before = np.ones(60_000_000 // 8)  # is no part of it
    with PeakMemory("cpu") as peak:
        taken = np.ones(200_000_000 // 8)
        end = time.monotonic() + 20
        while peak.bytes < 150e6 and time.monotonic() < end:  # it is sampled where the system keeps no record
            time.sleep(0.02)
        del taken
    assert 150e6 < peak.bytes < 400e6 and before.nbytes == 60_000_000


def test_where_the_system_keeps_no_record_it_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak_memory, "CLEAR", tmp_path / "nowhere" / "clear_refs")
    test_what_was_taken_and_given_back_counts()
    with PeakMemory("cpu") as peak:
        assert peak._thread is not None
    assert not peak._thread.is_alive()


@pytest.mark.skipif(sys.platform != "linux", reason="no record of the largest size to be set back")
def test_of_every_phase_the_peak_is_known_however_short_it_was() -> None:
    with PeakMemory("cpu", began="loading") as peak:
        for phase, megabytes in (("loading", 40), ("training", 160), ("saving", 80), ("training", 20)):
            if phase != "loading":
                peak.enter(phase)
            np.ones(megabytes * 1_000_000 // 8)  # gone at once
    found = {phase: held / 1e6 for phase, held in peak.by_phase.items()}
    assert found == {"loading": pytest.approx(40, abs=15), "training": pytest.approx(160, abs=15),
                     "saving": pytest.approx(80, abs=15)}
    assert peak.bytes == peak.by_phase["training"]


@pytest.mark.skipif(sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="where the C library is glibc")
def test_what_the_c_library_keeps_of_a_phase_is_not_counted_to_the_next() -> None:
    """A block freed in the middle of the heap is kept, and large arrays are cut from it."""
    np.ones(31_000_000 // 8)  # freed: what is smaller comes from the heap from now on
    blocks = [np.ones(15_000_000 // 8) for _ in range(20)]
    above = blocks.pop()
    del blocks
    test_of_every_phase_the_peak_is_known_however_short_it_was()
    assert above.nbytes == 15_000_000


def test_phases_that_a_run_enters_are_those_of_its_meter() -> None:
    with PeakMemory("cpu", began=str(Phase.PREPARING)) as peak:
        reporter = Metered(Notes(), peak)  # type: ignore[arg-type]
        reporter.phase(Phase.TRAINING)
    assert list(peak.by_phase) == ["preparing", "training"]


def test_without_more_memory_it_is_nothing() -> None:
    assert PeakMemory("cpu").bytes == 0


class Notes:
    """An observer that keeps the steps."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []

    def phase(self, phase: Phase) -> None:
        """Not kept."""

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
