"""What reaches the store from a run: every kind of event, thinned steps, one progress entry a phase."""

from __future__ import annotations

import sqlite3
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from core.domain.run import Observer, Phase
from core.errors import ThawError
from core.jobs.observer import StoreObserver
from core.settings import Settings
from core.store import Store


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Settings(home=tmp_path))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def observer(store: Store, clock: Clock) -> StoreObserver:
    return StoreObserver(store, "r", fence=1, now=clock, clock=clock)


def train(observer: Observer, clock: Clock, *, steps: int, step_s: float) -> None:
    for step in range(1, steps + 1):
        clock.now += step_s
        observer.step(step=step, loss=1.0 / step)


def steps_of(store: Store) -> list[int]:
    return [event.data["step"] for event in store.events.after("r", 0, kinds=["step"])]


def test_every_step_of_a_short_run_is_kept(store: Store, observer: StoreObserver, clock: Clock) -> None:
    train(observer, clock, steps=150, step_s=0.001)
    observer.close()
    assert steps_of(store) == list(range(1, 151))


def test_ten_thousand_fast_steps_stay_light_and_the_last_one_is_there(store: Store, observer: StoreObserver,
                                                                      clock: Clock) -> None:
    train(observer, clock, steps=10_000, step_s=0.01)
    observer.evaluation(step=10_000, accuracy=0.5)
    kept = steps_of(store)
    assert 500 < len(kept) <= 200 + 4 * 100 + 1
    assert kept == sorted(set(kept)) and kept[-1] == 10_000
    events = store.events.after("r", 0)
    assert events[-1].kind == "eval", "the skipped step was written before the evaluation"
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


def test_slow_steps_are_all_kept_and_written_at_once(store: Store, observer: StoreObserver, clock: Clock) -> None:
    train(observer, clock, steps=300, step_s=0.5)
    assert steps_of(store) == list(range(1, 301))


def test_a_long_run_thins_to_one_step_in_two_seconds(store: Store, observer: StoreObserver, clock: Clock) -> None:
    train(observer, clock, steps=40_000, step_s=0.9)
    times = [event.time for event in store.events.after("r", 0, kinds=["step"])]
    assert len(times) < 22_000
    assert max(b - a for a, b in pairwise(times)) < 3.0


def test_progress_keeps_one_entry_a_phase(store: Store, observer: StoreObserver, clock: Clock) -> None:
    for phase in (Phase.FETCHING, Phase.CACHING):
        observer.phase(phase)
        for done in range(101):
            clock.now += 0.1
            observer.progress(done, 100, "rows")
    events = store.events.after("r", 0)
    assert [(event.kind, event.data.get("phase"), event.data.get("done")) for event in events] == [
        ("phase", "fetching", None), ("progress", None, 100), ("phase", "caching features", None),
        ("progress", None, 100)]


def test_a_reader_that_has_seen_older_progress_gets_the_newer(store: Store, observer: StoreObserver,
                                                              clock: Clock) -> None:
    observer.phase(Phase.FETCHING)
    clock.now += 1
    observer.progress(1, 10, "bytes")
    seen = store.events.after("r", 0)[-1]
    clock.now += 1
    observer.progress(2, 10, "bytes")
    assert [event.data["done"] for event in store.events.after("r", seen.seq)] == [2]


def test_should_stop_is_false_until_asked_and_then_remembered(observer: StoreObserver) -> None:
    assert not observer.should_stop() and not observer.stop_noticed
    observer.ask_to_stop()
    assert not observer.stop_noticed, "asked, but the run has not looked yet"
    assert observer.should_stop() and observer.stop_noticed


class Refusing:
    """Stands before the table of events and lets nothing through while `error` is set."""

    def __init__(self, store: Store) -> None:
        self.events, self.error, self.attempts = store.events, None, 0
        self._append = store.events.append
        store.events.append = self.append  # type: ignore[method-assign]

    def append(self, *args: Any, **fields: Any) -> list[int]:
        self.attempts += 1
        if self.error is not None:
            raise self.error
        return self._append(*args, **fields)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("database or disk is full"),
                                   sqlite3.OperationalError("database is locked"),
                                   sqlite3.OperationalError("disk I/O error"), sqlite3.DatabaseError("malformed"),
                                   OSError(28, "No space left on device"),
                                   ThawError("The data folder cannot be used.")])
def test_events_that_cannot_be_written_are_held_back_and_the_run_goes_on(store: Store, observer: StoreObserver,
                                                                         clock: Clock, error: Exception) -> None:
    refusing = Refusing(store)
    refusing.error = error
    observer.phase(Phase.TRAINING)
    train(observer, clock, steps=20, step_s=1.0)
    observer.progress(20, 40, "steps")
    observer.evaluation(step=20, accuracy=0.5)
    observer.note("going on")
    assert refusing.attempts == 1, "whoever trains waits for a database that does not answer once, not at every step"
    assert not observer.flush() and not observer.close()
    refusing.error = None
    assert observer.flush()
    observer.step(step=21, loss=0.1)
    assert observer.close()
    kinds = [event.kind for event in store.events.after("r", 0)]
    assert kinds == ["phase", *["step"] * 20, "eval", "note", "progress", "step"]
    assert steps_of(store) == list(range(1, 22))


def test_a_very_long_outage_costs_the_oldest_steps_and_says_so(store: Store, observer: StoreObserver, clock: Clock,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.jobs.observer.HELD_BACK", 30)
    refusing = Refusing(store)
    refusing.error = sqlite3.OperationalError("disk I/O error")
    observer.phase(Phase.TRAINING)
    for _ in range(5):
        train(observer, clock, steps=20, step_s=100.0)
        observer.flush()
    refusing.error = None
    observer.close()
    assert len(steps_of(store)) == 29 and steps_of(store)[-1] == 20
    assert "71 events could not be written" in store.events.after("r", 0, kinds=["note"])[0].data["text"]
    assert store.events.after("r", 0)[0].kind == "phase"


def test_the_thread_that_trains_never_waits_for_one_that_writes(store: Store, observer: StoreObserver,
                                                                clock: Clock) -> None:
    writing, go_on = threading.Event(), threading.Event()
    real = store.events.append

    def slow(*args: Any, **fields: Any) -> list[int]:
        writing.set()
        assert go_on.wait(20)
        return real(*args, **fields)

    observer.step(step=1, loss=1.0)
    store.events.append = slow  # type: ignore[method-assign]
    heartbeat = threading.Thread(target=observer.flush)
    heartbeat.start()
    assert writing.wait(20)
    clock.now += 10
    observer.phase(Phase.TRAINING)
    train(observer, clock, steps=3, step_s=1.0)
    observer.note("not held up")
    go_on.set()
    heartbeat.join()
    observer.close()
    assert [event.kind for event in store.events.after("r", 0)] == ["step", "phase", "step", "step", "step", "note"]


def test_a_stop_is_noticed_though_it_cannot_be_noted(store: Store, observer: StoreObserver,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **fields: Any) -> None:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(store.queue, "stop_seen", refuse)
    observer.ask_to_stop()
    assert observer.should_stop() and observer.stop_noticed
