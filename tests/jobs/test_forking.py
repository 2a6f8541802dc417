"""Workers forked from a process that has imported what they need: the same as fresh ones, and never missed."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.domain.run import JobKind, Status
from core.jobs import process
from core.jobs.engines import forking
from core.jobs.engines.local import LocalEngine
from core.jobs.supervisor import Supervisor
from tests.jobs.conftest import turn

WORKER = process.python("tests.jobs.support.worker")
PRELOAD = process.python("tests.jobs.support.preloaded")

pytestmark = pytest.mark.skipif(not forking.POSSIBLE, reason="libraries do not outlive a fork here")


@pytest.fixture
def engine(yard: Any, waiting: Callable[..., Any]) -> Iterator[LocalEngine]:
    """One whose process is ready."""
    found = LocalEngine(yard.settings, worker=WORKER, preload=PRELOAD)
    found.forking.begin()
    waiting(lambda: found.forking.ready)
    yield found
    found.close()


def server(engine: LocalEngine) -> psutil.Process:
    assert engine.forking._child is not None
    return psutil.Process(engine.forking._child.pid)


def test_a_forked_worker_is_what_a_fresh_one_is(yard: Any, engine: LocalEngine) -> None:
    supervisor = Supervisor(yard.settings, engine=engine)
    run = yard.submit("environment")
    turn(supervisor, lambda: yard.run(run).status.final)
    forked = yard.store.events.after(run, 0)
    fresh_engine = LocalEngine(yard.settings, worker=WORKER)
    again = yard.submit("environment")
    turn(Supervisor(yard.settings, engine=fresh_engine), lambda: yard.run(again).status.final)
    results = [next(event.data for event in events if event.kind == "result")
               for events in (forked, yard.store.events.after(again, 0))]
    assert results[0] == results[1] and results[0]["leader"] is True
    assert yard.run(run).status is Status.DONE


def test_it_is_a_child_of_that_process_and_its_temporary_folder_goes_with_it(yard: Any, engine: LocalEngine) -> None:
    supervisor = Supervisor(yard.settings, engine=engine)
    run = yard.submit("steps")
    pid = turn(supervisor, lambda: next((claim.pid for claim in yard.store.queue.active()), None))
    assert psutil.Process(pid).ppid() == server(engine).pid
    assert os.getsid(pid) == pid
    scratch = list((yard.settings.home / "tmp").iterdir())
    assert len(scratch) == 1
    turn(supervisor, lambda: yard.run(run).status.final)
    turn(supervisor, lambda: not scratch[0].exists())
    assert yard.steps(run) == list(range(1, 301))


@pytest.mark.parametrize("behaviour", ["die", "family", "bug", "unrecorded-stopped"])
def test_its_end_is_told_as_that_of_a_fresh_one(yard: Any, engine: LocalEngine, behaviour: str) -> None:
    supervisor, others = Supervisor(yard.settings, engine=engine), Supervisor(yard.settings, worker_command=WORKER)
    forked = yard.submit(behaviour)
    turn(supervisor, lambda: yard.run(forked).status.final)
    fresh = yard.submit(behaviour)
    turn(others, lambda: yard.run(fresh).status.final)
    assert (yard.run(forked).status, yard.run(forked).failure) == (yard.run(fresh).status, yard.run(fresh).failure)
    if behaviour == "family":  # killed as by kill -9, and what it had started with it
        child = int((Path(yard.run(forked).folder) / "child").read_text(encoding="utf-8"))
        turn(supervisor, lambda: not process.alive(child, process.start_time(child)))


def test_a_killed_server_loses_no_run_and_workers_go_on_without(yard: Any, engine: LocalEngine) -> None:
    supervisor = Supervisor(yard.settings, engine=engine)
    run = yard.submit("steps")
    turn(supervisor, lambda: len(yard.steps(run)) > 3)
    server(engine).kill()
    turn(supervisor, lambda: yard.run(run).status.final)
    assert yard.run(run).status is Status.DONE and yard.steps(run) == list(range(1, 301))
    after = yard.submit("once")
    turn(supervisor, lambda: yard.run(after).status.final)
    assert yard.run(after).status is Status.DONE
    assert not supervisor._children


def test_an_orphan_that_dies_is_noticed(yard: Any, engine: LocalEngine) -> None:
    supervisor = Supervisor(yard.settings, engine=engine)
    run = yard.submit("deaf")
    pid = turn(supervisor, lambda: next((claim.pid for claim in yard.store.queue.active()), None))
    server(engine).kill()
    turn(supervisor, lambda: not server_lives(engine))
    os.kill(pid, signal.SIGKILL)
    turn(supervisor, lambda: yard.run(run).status.final)
    assert yard.run(run).status is Status.INTERRUPTED


def server_lives(engine: LocalEngine) -> bool:
    return engine.forking.alive


def test_a_server_that_does_not_answer_is_given_up(yard: Any, engine: LocalEngine,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forking, "ANSWER_S", 0.5)
    supervisor, stuck = Supervisor(yard.settings, engine=engine), server(engine)
    stuck.suspend()
    run = yard.submit("once")
    turn(supervisor, lambda: yard.run(run).status.final)
    assert yard.run(run).status is Status.DONE
    assert (yard.settings.home / "executions").read_text(encoding="utf-8").split() == [run]
    assert not stuck.is_running() or stuck.status() == psutil.STATUS_ZOMBIE


def test_it_ends_with_its_supervisor_and_when_it_is_not_needed(yard: Any, engine: LocalEngine,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    first = server(engine)
    monkeypatch.setattr(forking, "IDLE_S", 0.0)
    engine.ready()
    assert not engine.forking.alive and not first.is_running()
    monkeypatch.setattr(forking, "IDLE_S", 300.0)
    supervisor = Supervisor(yard.settings, engine=engine)
    alone = yard.submit("once")
    turn(supervisor, lambda: yard.run(alone).status.final)
    assert not engine.forking.alive, "for one run it does not pay"
    runs = [yard.submit("steps") for _ in range(2)]
    pid = turn(supervisor, lambda: next((claim.pid for claim in yard.store.queue.active()), None))
    assert psutil.Process(pid).ppid() == server(engine).pid, "the first waits for it, too"
    turn(supervisor, lambda: all(yard.run(run).status.final for run in runs))
    second = server(engine)
    supervisor.close()
    assert not second.is_running()


def test_nobody_forks_where_it_is_turned_off_on_a_card_or_for_an_import(yard: Any,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from core import files, values
    from core.domain import codec
    from core.domain.device import Device

    asked: list[Any] = []
    monkeypatch.setattr(forking.Forking, "fork", lambda *args, **kwargs: asked.append(args))
    settings = yard.settings
    device = values.read(settings.home / "device.json", Device)
    assert device is not None
    for preload, kind, card, begun in ((False, JobKind.TRAIN, "cpu", False), (True, JobKind.TRAIN, "cuda", False),
                                       (True, JobKind.IMPORT, "cpu", True)):
        files.write_json(settings.home / "device.json", codec.to_json(replace(device, kind=card)))
        engine = LocalEngine(replace(settings, preload=preload), worker=WORKER, preload=PRELOAD)
        supervisor = Supervisor(settings, engine=engine)
        runs = [yard.submit("once", kind=kind) for _ in range(2)]
        turn(supervisor, lambda runs=runs: all(yard.run(run).status.final for run in runs))
        assert engine.forking.alive is begun
        assert bool(asked) is (kind is JobKind.TRAIN)
        asked.clear()
        supervisor.close()
    assert LocalEngine(settings, worker=WORKER)._forks is False, "another worker is not what would be forked"


def test_what_is_imported_is_there_and_the_real_process_forks(yard: Any, waiting: Callable[..., Any]) -> None:
    """A claim that is over is left alone, with status 0."""
    from core.jobs import preloaded

    assert [name for name in preloaded.MODULES if importlib.util.find_spec(name) is None] == []
    real = forking.Forking(yard.settings, process.python("core.jobs.preloaded"))
    try:
        real.begin()
        waiting(lambda: real.ready, 120)
        log = yard.settings.home / "log.txt"
        worker = real.fork(["nobody", "--fence", "1"], log=log, environment=process.worker_environment(yard.settings))
        assert worker is not None
        assert waiting(lambda: worker.reap() is not None) and worker.reap() == 0
        assert log.is_file()
    finally:
        real.close()
