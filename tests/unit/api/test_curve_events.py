"""A poll of the curves reads only what is new."""

from __future__ import annotations

from typing import Any

import pytest

from core.api import curve_events
from core.settings import Settings
from core.store import Store


def add(store: Store, *steps: int) -> None:
    store.events.append("r", [(0.0, "step", {"step": step, "loss": 1.0}) for step in steps])


def test_only_new_events_are_read(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    store, read = Store(settings), []
    real = store.events.after

    def after(run: str, seq: int, **fields: Any) -> Any:
        found = real(run, seq, **fields)
        read.append(len(found))
        return found

    monkeypatch.setattr(store.events, "after", after)
    add(store, 1, 2, 3)
    assert [event.data["step"] for event in curve_events.of(store, "r", attempt=1)] == [1, 2, 3]
    add(store, 4)
    assert [event.data["step"] for event in curve_events.of(store, "r", attempt=1)] == [1, 2, 3, 4]
    assert len(curve_events.of(store, "r", attempt=1)) == 4
    assert read == [3, 1, 0]
    assert len(curve_events.of(store, "r", attempt=2)) == 4 and read[-1] == 4, "a new start is read anew"


def test_few_runs_are_kept(settings: Settings) -> None:
    store = Store(settings)
    for number in range(curve_events.RUNS + 5):
        curve_events.of(store, f"run {number}", attempt=1)
    assert len(curve_events._kept) <= curve_events.RUNS
