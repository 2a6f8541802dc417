"""The promises about processes: who dies, what goes on, and that nothing runs twice. Real processes throughout."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from core import files
from core.api import Thaw
from core.domain.run import JobKind, Status
from core.errors import FailureKind
from core.jobs import launch, process

STEPS = 300
"""What the tiny engine (`support/worker.py`) does in a run named `steps`."""

SUBMIT_AND_WAIT = """
import sys, time
from core import settings
from core.domain.recipe import Recipe
from core.domain.run import JobKind
from core.jobs import launch, process
from core.store import Store
from core.store.jobs import NewJob
s = settings.load()
store = Store(s)
recipe = Recipe(dataset="steps", base_model="m", method="probe")
store.jobs.submit([NewJob(id="the-run", workspace="ws", kind=JobKind.TRAIN, name="r", recipe=recipe,
                          runs_folder=s.workspace("ws") / "runs")])
launch.ensure_supervisor(s, store, command=process.python("tests.jobs.support.supervisor"))
time.sleep(600)
"""


def test_kill_9_of_the_worker_interrupts_within_seconds_and_resume_goes_on(
         yard: Any, waiting: Callable[..., Any]) -> None:
    yard.supervise(stale_after_s=600)  # the death is seen, not guessed from silence
    run = yard.submit("steps")
    waiting(lambda: len(yard.steps(run)) > 25)
    os.kill(yard.pid(run), signal.SIGKILL)
    ended = yard.ended(run)
    assert (ended.status, ended.failure.kind) == (Status.INTERRUPTED, FailureKind.INTERRUPTED)
    assert "SIGKILL" in ended.failure.why
    done_before, checkpoint = yard.steps(run), files.read_json(Path(yard.run(run).folder) / "checkpoint.json")
    assert yard.store.queue.resume("ws", run)
    ended = yard.ended(run)
    assert (ended.status, ended.attempts, ended.failure) == (Status.DONE, 2, None)
    assert checkpoint >= 20
    left = list(range(checkpoint + 1, STEPS + 1))
    assert yard.steps(run)[len(done_before):] == left, "resumed at the checkpoint, not at the start"


def test_kill_9_of_the_web_server_leaves_the_run_going(yard: Any, waiting: Callable[..., Any]) -> None:
    web = subprocess.Popen([sys.executable, "-c", SUBMIT_AND_WAIT], env=process.environment(yard.settings),
                           cwd=process.ROOT, start_new_session=True)
    try:
        waiting(lambda: yard.store.jobs.find("the-run") and yard.steps("the-run"))
        os.killpg(web.pid, signal.SIGKILL)
        web.wait()
        assert launch.any_alive(yard.store)
        ended = yard.ended("the-run")
        assert (ended.status, ended.attempts) == (Status.DONE, 1)
        assert yard.steps("the-run") == list(range(1, STEPS + 1))
    finally:
        web.kill()
        for row in yard.store.supervisors.list():
            process.end(row.pid, row.pid_created, signal.SIGTERM)
    waiting(lambda: not yard.store.supervisors.list())


def test_two_supervisors_never_run_one_job_twice(yard: Any, waiting: Callable[..., Any]) -> None:
    yard.supervise(slots=2)
    # slots count every supervisor's jobs: these two more are the second one's alone
    yard.supervise(slots=4)
    waiting(lambda: len(yard.store.supervisors.list()) == 2)
    runs = [yard.submit("once") for _ in range(16)]
    for run in runs:
        assert yard.ended(run, 90).status is Status.DONE
    lines = (yard.settings.home / "executions").read_text(encoding="utf-8").split()
    assert Counter(lines) == Counter(dict.fromkeys(runs, 1))
    owners = {row["supervisor"] for row in yard.store.database.rows("SELECT DISTINCT supervisor FROM jobs")}
    assert len(owners) == 2, "both took part"


def test_one_slot_runs_jobs_in_the_order_of_the_queue(yard: Any) -> None:
    runs = [yard.submit("once") for _ in range(4)]
    yard.supervise()
    for run in runs:
        yard.ended(run)
    assert (yard.settings.home / "executions").read_text(encoding="utf-8").split() == runs
    times = [(yard.run(run).started, yard.run(run).finished) for run in runs]
    assert all(first[1] <= second[0] for first, second in pairwise(times)), "never two at once"


def test_a_supervisor_killed_by_kill_9_leaves_its_worker_to_the_next_one(
         yard: Any, waiting: Callable[..., Any]) -> None:
    first = yard.supervise()
    run = yard.submit("steps")
    waiting(lambda: yard.steps(run))
    first.kill()
    first.wait()
    yard.supervise()
    assert yard.ended(run).attempts == 1
    assert yard.steps(run) == list(range(1, STEPS + 1)), "the orphan went on undisturbed"
    second = yard.submit("steps")
    waiting(lambda: yard.steps(second))
    yard.supervisors[-1].kill()
    yard.supervisors[-1].wait()
    os.kill(yard.pid(second), signal.SIGKILL)
    yard.supervise()
    assert yard.ended(second, 10).status is Status.INTERRUPTED, "a dead orphan is noticed by its pid and start time"


def test_a_frozen_worker_is_ended_after_its_silence(yard: Any, waiting: Callable[..., Any]) -> None:
    yard.supervise(stale_after_s=0.5)
    run = yard.submit("steps")
    waiting(lambda: yard.steps(run))
    pid = yard.pid(run)
    os.kill(pid, signal.SIGSTOP)
    assert yard.ended(run, 15).status is Status.INTERRUPTED
    assert not psutil.pid_exists(pid), "it can never write to the run folder again"


def test_a_claim_without_a_worker_goes_back_to_the_queue(yard: Any) -> None:
    run = yard.submit("once")
    assert yard.store.queue.claim(supervisor="died right here", host=process.host(), slots=1) is not None
    yard.supervise(stale_after_s=0.5)
    ended = yard.ended(run)
    assert (ended.status, ended.attempts) == (Status.DONE, 1)


def test_a_worker_on_another_host_that_fell_silent_is_interrupted(yard: Any) -> None:
    run = yard.submit("once")
    claim = yard.store.queue.claim(supervisor="far away", host="another machine", slots=1)
    yard.store.queue.begin(run, fence=claim.fence, pid=os.getpid(), pid_created=process.myself().started)
    yard.supervise(stale_after_s=0.5)
    assert yard.ended(run).status is Status.INTERRUPTED


def test_stop_keeps_what_there_is(yard: Any, waiting: Callable[..., Any]) -> None:
    yard.supervise()
    run = yard.submit("steps")
    waiting(lambda: yard.steps(run))
    assert yard.store.queue.ask_stop("ws", run) is Status.STOPPING
    ended = yard.ended(run, 10)
    assert (ended.status, ended.failure) == (Status.STOPPED, None)
    assert 0 < yard.store.events.last(run, "result").data["steps"] < STEPS
    assert yard.store.queue.resume("ws", run)
    assert yard.ended(run).status is Status.DONE


def test_a_worker_that_does_not_stop_is_ended(yard: Any, waiting: Callable[..., Any]) -> None:
    yard.supervise()
    for behaviour in ("deaf", "deafer"):
        run = yard.submit(behaviour)
        pid = yard.pid(run)
        time.sleep(0.5)
        yard.store.queue.ask_stop("ws", run)
        assert yard.ended(run, 25).status is Status.STOPPED
        waiting(lambda pid=pid: not psutil.pid_exists(pid), 5)


def test_asking_twice_does_not_wait(yard: Any) -> None:
    yard.supervise(stop_grace_s=600.0)
    run = yard.submit("deaf")
    yard.pid(run)
    for _ in range(2):
        yard.store.queue.ask_stop("ws", run)
    assert yard.ended(run, 10).status is Status.STOPPED


def test_ending_the_supervisor_interrupts_its_runs_cleanly(yard: Any, waiting: Callable[..., Any]) -> None:
    supervisor = yard.supervise()
    run, queued = yard.submit("steps"), yard.submit("once")
    waiting(lambda: yard.steps(run))
    supervisor.terminate()
    assert supervisor.wait(15) == 0
    assert yard.run(run).status is Status.INTERRUPTED
    assert "asked to end" in yard.run(run).failure.why
    assert yard.run(queued).status is Status.QUEUED
    assert yard.store.supervisors.list() == []


def test_failures_have_a_kind_and_the_traceback_stays_in_the_log(yard: Any) -> None:
    expected = {"memory": FailureKind.OUT_OF_MEMORY, "cuda": FailureKind.OUT_OF_MEMORY, "data": FailureKind.DATA,
                "bug": FailureKind.INTERNAL, "die": FailureKind.INTERNAL}
    runs = {name: yard.submit(name) for name in expected}
    disk = yard.submit("disk")
    yard.supervise(slots=3)
    for name, run in runs.items():
        ended = yard.ended(run)
        assert (ended.status, ended.failure.kind) == (Status.FAILED, expected[name]), name
        assert ended.failure.what and ended.failure.remedy
        assert "Traceback" not in str(ended.failure)
        assert yard.store.events.last(run, "failure").data["what"] == ended.failure.what
    assert yard.run(runs["data"]).failure.what == "Row 3 has no label."
    assert "Traceback" in yard.log(runs["bug"]) and "KeyError" in yard.log(runs["bug"])
    assert (yard.ended(disk).status, yard.run(disk).failure.what) == (Status.INTERRUPTED, "The disk is full.")


def test_what_a_dead_worker_started_is_ended_with_it(yard: Any, waiting: Callable[..., Any]) -> None:
    yard.supervise()
    run = yard.submit("family")
    assert yard.ended(run).status is Status.INTERRUPTED
    child = int((Path(yard.run(run).folder) / "child").read_text(encoding="utf-8"))
    waiting(lambda: process.start_time(child) is None, 5)


def test_a_worker_that_lost_its_job_ends_itself(yard: Any, waiting: Callable[..., Any]) -> None:
    yard.supervise()
    run = yard.submit("deaf")
    pid = yard.pid(run)
    yard.store.queue.finish(run, fence=1, status=Status.INTERRUPTED)
    waiting(lambda: not psutil.pid_exists(pid), 10)
    assert yard.run(run).status is Status.INTERRUPTED


def test_a_worker_gets_its_threads_and_settings_and_a_session_of_its_own(yard: Any) -> None:
    yard.supervise(slots=2, threads=3)
    run, fetch = yard.submit("environment"), yard.submit("m", kind=JobKind.PREPARE, payload={"model": "minilm"})
    yard.ended(run)
    assert yard.store.events.last(run, "result").data == {
        "OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "3", "TOKENIZERS_PARALLELISM": "true", "PYTHONUNBUFFERED": "1",
        "THAW_HOME": str(yard.settings.home), "THAW_SLOTS": "2", "leader": True,
        "nice": max(process.NICENESS, os.nice(0))}
    yard.ended(fetch)
    assert yard.store.events.last(fetch, "result").data == {"model": "minilm"}


def test_many_callers_at_once_start_one_supervisor_and_an_idle_one_ends(yard: Any, waiting: Callable[..., Any]) -> None:
    from concurrent.futures import ThreadPoolExecutor
    from dataclasses import replace

    settings = replace(yard.settings, supervisor_idle_s=2.0)
    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(lambda _: launch.ensure_supervisor(settings, yard.store), range(8)))
    assert started.count(True) == 1
    row = waiting(lambda: next((row for row in yard.store.supervisors.list() if row.pid), None))
    assert launch.any_alive(yard.store)
    waiting(lambda: not yard.store.supervisors.list(), 20)
    waiting(lambda: not process.alive(row.pid, row.pid_created), 10)
    assert not launch.any_alive(yard.store)


def test_a_device_that_cannot_be_measured_does_not_hold_up_the_queue(yard: Any) -> None:
    from core.jobs.supervisor import Supervisor

    (yard.settings.home / "device.json").unlink()
    run = yard.submit("once")
    supervisor = Supervisor(yard.settings, worker_command=process.python("tests.jobs.support.worker"),
                            measure_command=[sys.executable, "-c", "import sys; print('no such device'); sys.exit(3)"])
    supervisor._start()
    deadline = time.monotonic() + 30
    while not yard.run(run).status.final and time.monotonic() < deadline:
        supervisor.step()
        time.sleep(0.05)
    assert yard.run(run).status is Status.DONE
    assert "no such device" in (yard.settings.home / "logs" / "device.log").read_text(encoding="utf-8")


def test_a_deleted_data_folder_ends_its_supervisor_and_workers(yard: Any, waiting: Callable[..., Any]) -> None:
    import shutil

    supervisor = yard.supervise()
    run = yard.submit("deaf")
    pid = yard.pid(run)
    yard.store.database.close()
    shutil.rmtree(yard.settings.home)
    assert supervisor.wait(20) == 0
    waiting(lambda: not psutil.pid_exists(pid), 5)


def test_an_experiment_that_is_undone_while_a_run_is_at_work_leaves_no_run_no_process_and_no_folder(
        yard: Any, waiting: Callable[..., Any]) -> None:
    thaw = Thaw(yard.settings)
    experiment = yard.store.experiments.create("ws", "Too soon")
    yard.supervise()
    first, second = (yard.submit("steps", experiment=experiment) for _ in range(2))
    waiting(lambda: len(yard.steps(first)) > 3)
    worker, folder = psutil.Process(yard.pid(first)), Path(yard.run(first).folder)
    yard.store.database.execute("UPDATE jobs SET created = ?", (time.time(),))  # as one start has it
    assert thaw.experiments.undo("ws", experiment) == 2
    assert thaw.runs.all("ws") == [] and thaw.experiments.all("ws") == []
    waiting(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    waiting(lambda: not folder.exists())
    after = yard.submit("steps")
    assert yard.ended(after).status is Status.DONE, "the slot is free again"
    assert not folder.exists() and not Path(folder.parent / second).exists()
