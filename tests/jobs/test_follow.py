"""Commands and the queue: what a command submits it sees to its end, leaves other jobs alone, and nothing stays
behind."""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from core import files
from core.cli import compare, follow
from core.cli.compare import Arm
from core.cli.output import ProgressLine
from core.domain.recipe import Recipe
from core.domain.run import JobKind, Status
from core.errors import FailureKind, ThawError
from core.jobs import launch, process
from core.jobs.engines.local import LocalEngine
from tests.jobs.conftest import Yard, wait_for
from tests.jobs.test_supervision import STEPS


@pytest.fixture(autouse=True)
def tiny_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = functools.partial(LocalEngine, worker=process.python("tests.jobs.support.worker"))
    monkeypatch.setattr(follow, "LocalEngine", engine)


def arms(out: Path, *names: str) -> list[Arm]:
    """One run a name of the tiny worker's abilities."""
    recipe = Recipe(dataset="", base_model="m", method="probe", precision="fp32")
    return [Arm(recipe=recipe.replace(dataset=name), folder=out / f"{name}-{number}") for number,
            name in enumerate(names)]


def train(yard: Yard, planned: list[Arm]) -> dict[str, Status]:
    outcomes = compare.train_all(planned, settings=yard.settings, workspace="ws")
    assert psutil.Process().children(recursive=True) == [] and yard.store.supervisors.list() == []
    return {name: outcome.status for name, outcome in outcomes.items()}


def when(condition: Callable[[], Any], act: Callable[[], Any]) -> threading.Thread:
    """Do it, from another thread, once something is so."""
    thread = threading.Thread(target=lambda: wait_for(condition) and act())
    thread.start()
    return thread


def steps(folder: Path) -> list[int]:
    path = folder / "steps"
    return [int(line) for line in path.read_text(encoding="utf-8").split()] if path.exists() else []


def test_a_command_sees_its_runs_to_their_ends_in_folders_of_its_own(yard: Yard, tmp_path: Path) -> None:
    others = yard.submit("once")
    planned = arms(tmp_path / "out", "once", "data", "once")
    assert train(yard, planned) == {"once-0": Status.DONE, "data-1": Status.FAILED, "once-2": Status.DONE}
    assert yard.run(others).status is Status.QUEUED, "jobs of others are left to a supervisor of theirs"
    found = [run for run in yard.store.jobs.list("ws") if run.id != others]
    assert {Path(run.folder) for run in found} == {arm.folder for arm in planned}
    assert len({run.experiment for run in found}) == 1 and yard.store.experiments.list("ws")[0].name == "out"
    for arm in planned:
        assert files.read_json(arm.folder
                               / "recipe.json") == arm.recipe.to_json() and (arm.folder / "log.txt").is_file()


def test_a_supervisor_that_is_alive_does_the_work(yard: Yard, tmp_path: Path) -> None:
    yard.supervise()
    wait_for(lambda: launch.any_alive(yard.store))
    outcomes = compare.train_all(arms(tmp_path, "once"), settings=yard.settings, workspace="ws")
    assert outcomes["once-0"].status is Status.DONE
    owner, = yard.store.database.rows("SELECT supervisor FROM jobs")
    assert owner["supervisor"] == yard.store.supervisors.list()[0].id


def test_a_supervisor_that_comes_later_takes_what_waits(yard: Yard, tmp_path: Path) -> None:
    planned = arms(tmp_path, "steps", "once")
    thread = when(lambda: steps(planned[0].folder), yard.supervise)
    outcomes = compare.train_all(planned, settings=yard.settings, workspace="ws")
    thread.join()
    assert {outcome.status for outcome in outcomes.values()} == {Status.DONE}
    first, second = yard.store.database.rows("SELECT supervisor FROM jobs ORDER BY ticket")
    assert first["supervisor"].startswith(launch.PRIVATE) and not second["supervisor"].startswith(launch.PRIVATE)


def test_an_interrupt_keeps_what_there_is_and_starts_nothing_more(yard: Yard, tmp_path: Path) -> None:
    planned = arms(tmp_path, "steps", "once")
    thread = when(lambda: len(steps(planned[0].folder)) > 20, lambda: os.kill(os.getpid(), signal.SIGINT))
    outcomes = compare.train_all(planned, settings=yard.settings, workspace="ws")
    thread.join()
    assert list(outcomes) == ["steps-0"] and outcomes["steps-0"].status is Status.STOPPED
    assert outcomes["steps-0"].result is not None and 20 < outcomes["steps-0"].result.steps < STEPS
    assert [run.status for run in yard.store.jobs.list("ws")] == [Status.STOPPED] * 2
    done = follow.folder(planned[0].folder, settings=yard.settings, workspace="another", resume=True)
    assert done.status is Status.DONE and steps(planned[0].folder)[-1] == STEPS
    assert len(set(steps(planned[0].folder))) == STEPS, "from its last checkpoint"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("numbers", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM], [signal.SIGHUP]], ids=str)
def test_a_run_that_does_not_stop_is_ended_when_nobody_waits(yard: Yard, tmp_path: Path, numbers: list[int]) -> None:
    planned = arms(tmp_path, "deaf")
    thread = when(lambda: any(claim.pid for claim in yard.store.queue.active()),
                  lambda: [os.kill(os.getpid(), number) for number in numbers])
    assert train(yard, planned) == {"deaf-0": Status.STOPPED}
    thread.join()


def test_a_killed_worker_is_told_in_the_words_of_the_pages_and_the_others_go_on(yard: Yard, tmp_path: Path) -> None:
    planned = arms(tmp_path, "family", "once")
    outcomes = compare.train_all(planned, settings=yard.settings, workspace="ws")
    assert [outcome.status for outcome in outcomes.values()] == [Status.INTERRUPTED, Status.DONE]
    failure = outcomes["family-0"].failure
    assert failure is not None and failure.kind is FailureKind.INTERRUPTED
    assert "SIGKILL" in failure.why and failure.remedy


def test_what_lies_in_a_folder_is_replaced_unless_it_is_worked_on(yard: Yard, tmp_path: Path) -> None:
    planned = arms(tmp_path, "once")
    train(yard, planned)
    first, = yard.store.jobs.list("ws")
    files.write_json(planned[0].folder / "result.json", {"of": "another run"})
    assert train(yard, [Arm(recipe=planned[0].recipe.replace(dataset="data"), folder=planned[0].folder)]) == {
        "once-0": Status.FAILED}
    second, = yard.store.jobs.list("ws")
    assert second.id != first.id and yard.store.events.after(first.id, 0) == []
    assert not (planned[0].folder / "result.json").exists()
    assert yard.store.queue.resume("ws", second.id)
    with pytest.raises(ThawError, match="has not ended yet"):
        compare.train_all(planned, settings=yard.settings, workspace="another")


def test_a_folder_of_another_data_folder_goes_on_from_its_checkpoint(yard: Yard, tmp_path: Path) -> None:
    folder = tmp_path / "moved"
    files.write_json(folder / "recipe.json", Recipe(dataset="steps", base_model="m", method="probe").to_json())
    files.write_json(folder / "checkpoint.json", 290)
    assert follow.folder(folder, settings=yard.settings, workspace="ws", resume=True).status is Status.DONE
    assert steps(folder) == list(range(291, STEPS + 1))


def test_other_jobs_of_a_command_go_through_the_queue_too(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine("minilm:")
    given: dict[str, Any] = {"settings": yard.settings, "workspace": "ws", "line": line}
    follow.job(JobKind.PREPARE, {"model": "minilm"}, name="Fetch minilm", **given)
    assert "1 B of 2 B" in capsys.readouterr().err
    job, = yard.store.jobs.list("ws")
    assert (job.kind, job.status, job.name) == (JobKind.PREPARE, Status.DONE, "Fetch minilm")
    with pytest.raises(ThawError, match="went wrong") as caught:
        follow.job(JobKind.FEATURES, {}, name="Features", **given)
    assert "ZeroDivisionError" in caught.value.why and caught.value.remedy
