"""A database that does not answer, a disk without room, a clock that is set: no run and no supervisor ends for it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import files, logs, unforeseen
from core.domain.run import JobKind, Status
from core.errors import FailureKind
from core.jobs import launch, process
from core.jobs.supervisor import Supervisor
from core.store.jobs import NewJob
from tests.jobs.conftest import Yard, put_device, turn
from tests.jobs.test_supervision import STEPS

WORKER = process.python("tests.jobs.support.worker")


@pytest.mark.parametrize("error", [sqlite3.OperationalError("database is locked"),
                                   sqlite3.OperationalError("disk I/O error"),
                                   sqlite3.OperationalError("database or disk is full"),
                                   OSError(5, "Input/output error"), RuntimeError("something nobody thought of")],
                         ids=str)
def test_whatever_fails_in_a_round_is_tried_again_and_ends_nothing(
         yard: Yard, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    supervisor = Supervisor(yard.settings, worker_command=WORKER)
    run, second = yard.submit("steps"), yard.submit("once")
    turn(supervisor, lambda: yard.steps(run))
    calls = 0

    def refuse(*args: Any, **fields: Any) -> Any:
        nonlocal calls
        calls += 1
        raise error

    with monkeypatch.context() as broken:
        for name in ("active", "claim", "finish", "put_back"):
            broken.setattr(supervisor._store.queue, name, refuse)
        broken.setattr(supervisor._store.supervisors, "beat", refuse)
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            supervisor.step()
        assert calls > 3 and supervisor._failures > 3
        turn(supervisor, lambda: process.reap(supervisor._children[run].process) is not None)
    assert yard.run(run).status is Status.DONE, "the worker recorded its end itself"
    turn(supervisor, lambda: yard.run(second).status.final)
    assert yard.run(second).status is Status.DONE and supervisor._failures == 0
    assert yard.steps(run) == list(range(1, STEPS + 1))


def test_trouble_is_told_to_the_pages_and_taken_back(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor(yard.settings, worker_command=WORKER)
    with monkeypatch.context() as broken:
        broken.setattr(supervisor._store.queue, "claim", lambda **fields: 1 / 0)
        turn(supervisor, lambda: launch.trouble(yard.store))
        assert "ZeroDivisionError" in (launch.trouble(yard.store)
                                       or "") and "logs/supervisor.log" in (launch.trouble(yard.store) or "")
    turn(supervisor, lambda: launch.trouble(yard.store) is None)


def test_an_end_that_could_not_be_recorded_is_recorded_later(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor(yard.settings, worker_command=WORKER)
    run = yard.submit("die")
    real, refused = supervisor._store.queue.finish, []

    def refuse(*args: Any, **fields: Any) -> bool:
        if len(refused) < 3:
            refused.append(args)
            raise sqlite3.OperationalError("database is locked")
        return real(*args, **fields)

    monkeypatch.setattr(supervisor._store.queue, "finish", refuse)
    turn(supervisor, lambda: yard.run(run).status.final)
    failure = yard.run(run).failure
    assert len(refused) == 3 and failure is not None
    assert "exit status was 7" in failure.why, "what is known of its death is not lost"


def test_a_locked_database_holds_up_neither_supervisor_nor_run(yard: Yard, waiting: Callable[..., Any]) -> None:
    supervisor = yard.supervise()
    run = yard.submit("steps")
    waiting(lambda: len(yard.steps(run)) > 10)
    holder = sqlite3.connect(yard.settings.database, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    before = len(yard.steps(run))
    waiting(lambda: len(yard.steps(run)) > before + 100)
    holder.execute("ROLLBACK")
    holder.close()
    assert yard.ended(run).status is Status.DONE
    assert yard.steps(run) == list(range(1, STEPS + 1)) and yard.run(run).attempts == 1
    assert supervisor.poll() is None


@pytest.mark.parametrize(("status", "behaviour"), [(Status.DONE, "unrecorded-done"),
                                                   (Status.STOPPED, "unrecorded-stopped")])
def test_a_worker_that_cannot_record_its_end_tells_it_by_its_exit_status(
         yard: Yard, status: Status, behaviour: str) -> None:
    supervisor = Supervisor(yard.settings, worker_command=WORKER)
    run = yard.submit(behaviour)
    turn(supervisor, lambda: yard.run(run).status.final)
    assert (yard.run(run).status, yard.run(run).failure) == (status, None)


@pytest.mark.parametrize("damage", ["kind", "recipe"])
def test_a_row_that_cannot_be_read_fails_in_words_and_holds_up_nobody(yard: Yard, damage: str) -> None:
    supervisor = Supervisor(yard.settings, worker_command=WORKER)
    bad, good = yard.submit("once"), yard.submit("once")
    yard.store.database.execute(f"UPDATE jobs SET {damage} = 'sculpture' WHERE id = ?", (bad,))
    turn(supervisor, lambda: yard.run(bad).status.final and yard.run(good).status.final)
    failed = yard.run(bad)
    assert failed.status is Status.FAILED and failed.failure is not None
    assert damage in failed.failure.why and failed.failure.remedy
    assert yard.run(good).status is Status.DONE
    assert yard.store.queue.active() == [], "no claim is left behind"


@pytest.mark.parametrize("kind", [JobKind.TRAIN, JobKind.IMPORT, JobKind.FEATURES])
def test_an_unforeseen_error_in_any_job_has_three_parts_and_its_traceback_a_place(yard: Yard, kind: JobKind) -> None:
    supervisor = Supervisor(yard.settings, worker_command=WORKER)
    run = yard.submit("bug", kind=kind, **({} if kind is JobKind.TRAIN else {"payload": {}}))
    turn(supervisor, lambda: yard.run(run).status.final)
    failure = yard.run(run).failure
    assert yard.run(run).status is Status.FAILED and failure is not None
    assert failure.what and failure.remedy and logs.WORKER in failure.why
    assert ("KeyError" if kind is JobKind.TRAIN else "ZeroDivisionError") in failure.why
    for text in ((yard.settings.home / logs.WORKER).read_text(encoding="utf-8"), yard.log(run)):
        assert "Traceback (most recent call last)" in text and run in text
    assert "Traceback" not in str(failure)


def test_a_panic_in_a_job_has_three_parts_too(yard: Yard) -> None:
    supervisor = Supervisor(yard.settings, worker_command=WORKER)
    run = yard.submit("panic")
    turn(supervisor, lambda: yard.run(run).status.final)
    failure = yard.run(run).failure
    assert failure is not None and "PanicException: oops" in failure.why and logs.WORKER in failure.why


def test_a_kind_of_job_that_this_version_does_not_know_fails_in_words(yard: Yard) -> None:
    supervisor = Supervisor(yard.settings, worker_command=[*WORKER[:-1], "tests.jobs.support.bare"])
    run = yard.submit("m", kind=JobKind.PREPARE, payload={})
    turn(supervisor, lambda: yard.run(run).status.final)
    failure = yard.run(run).failure
    assert failure is not None and failure.what and failure.why and failure.remedy


@pytest.mark.skipif(process.boot_id() is None, reason="the system does not say when it was started")
@pytest.mark.parametrize("step_s", [-3.0, 2.5, 7200.0])
def test_a_clock_that_is_set_buries_no_living_run(yard: Yard, waiting: Callable[..., Any], step_s: float) -> None:
    first = yard.supervise()
    run = yard.submit("steps")
    waiting(lambda: yard.steps(run))
    first.kill()
    first.wait()
    # What was noted before the clock was set, beside what the system says after it.
    yard.store.database.execute("UPDATE jobs SET pid_created = pid_created - ?, heartbeat = heartbeat - ?",
                                (step_s, step_s))
    yard.store.database.execute("UPDATE supervisors SET pid_created = pid_created - ?, heartbeat = heartbeat - ?",
                                (step_s, step_s))
    yard.supervise()
    assert (yard.ended(run).status, yard.run(run).attempts) == (Status.DONE, 1)
    assert yard.steps(run) == list(range(1, STEPS + 1))


def test_a_supervisor_stays_alive_whatever_the_time_of_day(
         yard: Yard, waiting: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    child = yard.supervise()
    waiting(lambda: launch.any_alive(yard.store))
    real = time.time
    for step_s in (-86_400.0, 2.0, 3600.0):
        monkeypatch.setattr(time, "time", lambda step_s=step_s: real() + step_s)
        assert launch.any_alive(yard.store)
        assert not launch.ensure_supervisor(yard.settings, yard.store), "none is started beside it"
    child.kill()
    child.wait()
    monkeypatch.setattr(time, "time", lambda: real() - 86_400.0)
    assert not launch.any_alive(yard.store), "nor does a dead one live on because the clock was put back"


def test_a_stop_is_not_forced_because_the_clock_was_set(yard: Yard) -> None:
    supervisor = Supervisor(replace(yard.settings, stop_grace_s=600.0), worker_command=WORKER)
    run = yard.submit("deaf")
    turn(supervisor, lambda: yard.store.queue.active() and yard.store.queue.active()[0].pid)
    yard.store.queue.ask_stop("ws", run)
    yard.store.database.execute("UPDATE jobs SET stop_asked = stop_asked - 86400")
    end = time.monotonic() + 2.0
    while time.monotonic() < end:
        supervisor.step()
    assert yard.run(run).status is Status.STOPPING
    yard.store.queue.ask_stop("ws", run)
    turn(supervisor, lambda: yard.run(run).status is Status.STOPPED)


def test_memory_that_ran_out_is_told_from_the_last_words_of_the_log(yard: Yard) -> None:
    supervisor = Supervisor(replace(yard.settings, slots=4), worker_command=WORKER)
    runs = [yard.submit(name) for name in ("cpp-memory", "rust-memory", "python-memory")]
    limited = yard.submit("limited-memory")
    turn(supervisor, lambda: all(yard.run(run).status.final for run in (*runs, limited)))
    for run in (*runs, limited):
        failure = yard.run(run).failure
        assert failure is not None and failure.kind is FailureKind.OUT_OF_MEMORY, (yard.run(run).name, failure)
        assert failure.what and failure.why and failure.remedy


# -- a full disk -------------------------------------------------------------------------------------------------------
# ----------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB; only where this account may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    if not shutil.which("mount") or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)],
                                                   check=False, capture_output=True).returncode:
        pytest.skip("this account may not mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def fill(place: Path) -> Path:
    """Take all the room there is."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2
    return filler


def test_on_a_full_disk_runs_wait_and_go_on_when_there_is_room(small_disk: Path, waiting: Callable[..., Any]) -> None:
    from core.settings import Settings

    home = small_disk / "home"
    home.mkdir()
    put_device(home)
    yard = Yard(Settings(home=home, slots=1, threads=1, heartbeat_s=0.2, stale_after_s=4.0, min_free_mb=2))
    supervisor = yard.supervise()
    try:
        run, later = yard.submit("steps"), yard.submit("once")
        waiting(lambda: len(yard.steps(run)) > 25)
        filler = fill(small_disk)
        waiting(lambda: not (active := yard.store.queue.active()) or process.identity(active[0].pid or 0) is None, 60)
        time.sleep(1.5)
        assert supervisor.poll() is None, "the supervisor lives"
        assert not yard.run(run).status.final and yard.run(later).status is Status.QUEUED, "both wait"
        done_before = yard.steps(run)
        filler.unlink()
        assert yard.ended(run, 60).status is Status.DONE
        assert yard.ended(later, 60).status is Status.DONE
        assert yard.steps(run)[-1] == STEPS and sorted(set(yard.steps(run))) == list(range(1, STEPS + 1))
        assert yard.steps(run)[len(done_before)] > 10, "from a checkpoint, not from the start"
    finally:
        supervisor.kill()
        supervisor.wait()
        for claim in yard.store.queue.active():
            process.end(claim.pid, claim.pid_created, signal.SIGKILL, claim.birth)
        yard.store.database.close()


def test_on_a_full_disk_runs_and_datasets_can_be_deleted(small_disk: Path) -> None:
    from core.api import Thaw
    from core.settings import Settings
    from tests.conftest import WORKSPACE, write_dataset

    settings = Settings(home=small_disk / "home", min_free_mb=2)
    thaw, dataset = Thaw(settings), write_dataset(settings, n_rows=300)
    place = settings.workspace(WORKSPACE) / "runs"
    runs = thaw._desk.store.jobs.submit([NewJob(workspace=WORKSPACE, kind=JobKind.TRAIN, name="r", runs_folder=place)
                                         for _ in range(3)])
    for run in runs:
        thaw.runs.stop(WORKSPACE, run)
        folder = Path(thaw.runs.get(WORKSPACE, run).folder)
        folder.mkdir(parents=True)
        (folder / "weights").write_bytes(b"x" * 300_000)
        thaw._desk.store.events.append(run, [(1.0, "note", {"text": "x" * 1000})] * 50)
    filler = fill(small_disk)
    assert "The disk is full" in thaw.troubles()[0].what
    with contextlib.suppress(sqlite3.OperationalError):
        for _ in range(1000):  # what is left in the database's own files
            thaw._desk.store.events.append(runs[0], [(1.0, "note", {"text": "x" * 100_000})])
    with pytest.raises(sqlite3.OperationalError, match="full"):
        thaw._desk.store.events.append(runs[0], [(1.0, "note", {"text": "x" * 100_000})])
    for run in runs:
        folder = Path(thaw.runs.get(WORKSPACE, run).folder)
        thaw.runs.delete(WORKSPACE, run)
        assert not folder.exists()
        with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 4096):  # somebody else takes the room at once
                pass
    thaw.data.delete(WORKSPACE, dataset.id)
    assert thaw.runs.all(WORKSPACE) == [] and thaw.data.all(WORKSPACE) == []
    thaw._desk.store.database.close()


def test_every_library_that_writes_says_that_the_disk_is_full_in_words_that_are_known(small_disk: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    import safetensors.numpy
    import torch

    values = np.random.default_rng(0).random(4_000_000)
    database = sqlite3.connect(small_disk / "x.db")
    database.execute("CREATE TABLE t (a)")
    writers: dict[str, Callable[[], object]] = {
        "torch": lambda: torch.save(torch.from_numpy(values), small_disk / "t.pt"),
        "numpy": lambda: np.save(small_disk / "n.npy", values),
        "numpy, several": lambda: np.savez(small_disk / "n.npz", values=values),
        "safetensors": lambda: safetensors.numpy.save_file({"values": values}, small_disk / "s.safetensors"),
        "arrow": lambda: pq.write_table(pa.table({"values": values}), small_disk / "p.parquet"),
        "sqlite": lambda: database.executemany("INSERT INTO t VALUES (?)", [("x" * 10_000,)] * 4000),
        "json": lambda: files.write_json(small_disk / "j.json", list(range(4_000_000)))}
    for name, write in writers.items():
        with pytest.raises(Exception) as caught:
            write()
        assert unforeseen.is_disk_full(caught.value), (name, caught.value)
        assert unforeseen.explained(caught.value).what == "The disk is full.", name


@pytest.mark.parametrize("short", [True, False])
def test_a_mapped_file_that_cannot_grow_is_a_full_disk_where_the_disk_is_full(
         yard: Yard, monkeypatch: pytest.MonkeyPatch, short: bool) -> None:
    supervisor = Supervisor(yard.settings, worker_command=WORKER)
    run = yard.submit("mapped")
    turn(supervisor, lambda: supervisor._children)
    if short:
        monkeypatch.setattr(supervisor, "_settings", replace(yard.settings, min_free_mb=10**9))
    turn(supervisor, lambda: yard.run(run).status in (Status.QUEUED, Status.INTERRUPTED))
    assert yard.run(run).status is (Status.QUEUED if short else Status.INTERRUPTED)


def test_nothing_is_started_while_the_disk_is_nearly_full(yard: Yard) -> None:
    supervisor = Supervisor(replace(yard.settings, min_free_mb=10**9), worker_command=WORKER)
    run = yard.submit("once")
    for _ in range(10):
        supervisor.step()
    assert yard.run(run).status is Status.QUEUED and supervisor._failures == 0
    roomy = Supervisor(yard.settings, worker_command=WORKER)
    turn(roomy, lambda: yard.run(run).status is Status.DONE)


def test_a_worker_whose_log_cannot_be_opened_for_want_of_room_waits(
         yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor(yard.settings, worker_command=WORKER)
    run, real = yard.submit("once"), process.spawn

    def full(*args: Any, **fields: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(process, "spawn", full)
    for _ in range(3):
        supervisor.step()
    assert yard.run(run).status is Status.QUEUED
    monkeypatch.setattr(process, "spawn", real)
    turn(supervisor, lambda: yard.run(run).status is Status.DONE)
    assert yard.run(run).attempts == 1


# -- what the killed leave behind
# ------------------------------------------------------------------------------------------------------


def test_temporary_folders_of_killed_workers_go_with_them_and_those_of_orphans_at_the_next_start(
         yard: Yard, waiting: Callable[..., Any]) -> None:
    first = yard.supervise()
    run = yard.submit("litter")
    scratch = yard.settings.home / "tmp"
    waiting(lambda: (Path(yard.run(run).folder) / "ready").exists())
    assert list(scratch.glob(f"{run}-1/thaw-*")), "tempfile follows TMPDIR"
    os.kill(yard.pid(run), signal.SIGKILL)
    assert yard.ended(run).status is Status.INTERRUPTED
    waiting(lambda: not list(scratch.iterdir()))
    orphan = yard.submit("litter")
    waiting(lambda: (Path(yard.run(orphan).folder) / "ready").exists())
    pid = yard.pid(orphan)
    first.kill()
    first.wait()
    os.kill(pid, signal.SIGKILL)
    waiting(lambda: process.identity(pid) is None)
    assert list(scratch.iterdir())
    yard.supervise(stale_after_s=0.5)
    assert yard.ended(orphan).status is Status.INTERRUPTED
    yard.supervisors[-1].terminate()
    yard.supervisors[-1].wait(15)
    yard.supervise()
    waiting(lambda: not list(scratch.iterdir()))
    assert yard.store.queue.resume("ws", run)
    assert yard.ended(run).status is Status.DONE
    found = (Path(yard.run(run).folder) / "found").read_text(encoding="utf-8")
    assert "ready" in found and ".result.json-abc" not in found, "half a file of an earlier attempt"
