"""Commands wait for their jobs: queued like those of the pages, followed through the same events, stopped by Ctrl+C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from core import logs, values
from core.api import Thaw
from core.cli.output import ProgressLine, size
from core.domain import codec
from core.domain.device import Device
from core.domain.run import Event, Failure, JobKind, Result, Run, Status
from core.errors import ThawError
from core.jobs.engines.local import LocalEngine
from core.jobs.supervisor import Supervisor
from core.metrics import Unit, primary
from core.settings import Settings
from core.store import Store
from core.store.jobs import NewJob

POLL_S = 0.1
WAITING_S = 2.0
"""A job that waits longer than this says so."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a job ended that was begun."""

    status: Status
    result: Result | None = None
    failure: Failure | None = None


def train(lines: Mapping[str, ProgressLine], *, settings: Settings, workspace: str) -> Iterator[tuple[str, Outcome]]:
    """Follow queued runs to their ends: the id and outcome of each that was begun, as it ends.

    lines: id -> the line that shows its progress, in the order of the queue.
    """
    for run, result in _follow(lines, settings=settings, workspace=workspace):
        if run.started is not None:
            found = codec.from_json(Result, result) if result else None
            yield run.id, Outcome(status=run.status, result=found, failure=run.failure)


def folder(run_dir: Path, *, settings: Settings, workspace: str, resume: bool) -> Outcome:
    """Run the recipe of a folder to its end. resume: from its last checkpoint, as the run that it is in the queue, if
    it is."""
    store = Store(settings)
    run = store.jobs.of_folder(run_dir) if resume else None
    if run is None or run.status is Status.DONE:
        new = NewJob(workspace=run.workspace if run else workspace, kind=JobKind.TRAIN, name=run_dir.name,
                     resume=resume, recipe=values.recipe(run_dir), runs_folder=run_dir.parent, folder_name=run_dir.name)
        run = store.jobs.get(new.workspace, *store.jobs.submit([new]))
    elif run.status.resumable:
        store.queue.resume(run.workspace, run.id)
    line = ProgressLine(f"{run_dir.name}:")
    outcomes = dict(train({run.id: line}, settings=settings, workspace=run.workspace))
    return outcomes.get(run.id, Outcome(status=Status.STOPPED))


def job(kind: JobKind, payload: dict[str, Any], *, name: str, settings: Settings, workspace: str,
        line: ProgressLine) -> dict[str, Any]:
    """Have a worker do a job that is no run, and wait for it; what it found.

    Raises the ThawError it ended with; KeyboardInterrupt when it was stopped.
    """
    new = NewJob(workspace=workspace, kind=kind, name=name, payload=payload,
                 runs_folder=settings.workspace(workspace) / "runs")
    id, = Store(settings).jobs.submit([new])
    (run, result), = _follow({id: line}, settings=settings, workspace=workspace)
    if run.failure is not None:
        raise ThawError(run.failure.what, why=run.failure.why, remedy=run.failure.remedy, kind=run.failure.kind)
    if run.status is not Status.DONE:
        raise KeyboardInterrupt
    return result or {}


def device(settings: Settings, *, workspace: str) -> Device | None:
    """The device as measured; measured now, by a worker, where it was not.

    None when that failed: each run then finds out for itself.
    """
    path = settings.home / "device.json"
    if not path.is_file():
        line = ProgressLine("This device:")
        line.show("measuring")
        try:
            job(JobKind.PREPARE, {}, name="Measure this device", settings=settings, workspace=workspace, line=line)
        except ThawError as error:
            line.done(f"not measured ({error.what})")
    return values.read(path, Device)


def describe(event: Event, line: ProgressLine) -> None:
    """Show one event on the progress line."""
    kind, data = event.kind, event.data
    if kind == "phase":
        line.show(data["phase"], now=True)
    elif kind == "progress":
        amount: Callable[[float], str] = size if data["unit"] == "bytes" else "{:.0f}".format
        total = f" of {amount(data['total'])}" if data["total"] else ""
        unit = "" if data["unit"] == "bytes" else f" {data['unit']}"
        line.show(f"{amount(data['done'])}{total}{unit} {data['note']}".rstrip())
    elif kind == "step":
        line.show(f"step {data.get('step')}/{data.get('total_steps')}, loss {data.get('loss', float('nan')):.3f}, "
                  f"{data.get('seconds', 0.0):.0f} s")
    elif kind == "eval":
        line.show(f"{validation(data)} at step {data.get('step')}", now=True)
    elif kind == "note":
        line.show(data["text"], now=True)


def validation(data: dict[str, Any]) -> str:
    """`validation accuracy 93.1 %`, by the metric that decides."""
    metric = primary(data)
    if metric is None:
        return f"validation loss {data.get('loss', float('nan')):.3f}"
    value = data[metric.name]
    return f"{metric.on('validation')} " + (f"{100 * value:.1f} %" if metric.unit is Unit.SHARE else f"{value:.3f}")


def _follow(lines: Mapping[str, ProgressLine], *, settings: Settings,
            workspace: str) -> Iterator[tuple[Run, dict[str, Any] | None]]:
    """Each job as it ends, with the data of its result. While no supervisor is alive, this process is one, for these
    jobs.

    The first Ctrl+C asks them to stop, so that a run keeps its best checkpoint; a second one ends them at once.
    """
    thaw = Thaw(settings)
    logs.to_file(settings, logs.SUPERVISOR)
    supervisor: Supervisor | None = None
    seen, results = dict.fromkeys(lines, 0), dict[str, dict[str, Any]]()
    with _wishes_to_end() as wishes:
        try:
            while seen:
                if supervisor is None and not thaw.supervisor_alive():
                    supervisor = Supervisor(settings, only=tuple(lines), engine=LocalEngine(settings, give_way=False))
                if supervisor is not None:
                    supervisor.step()
                while wishes:
                    wishes.pop()
                    for id in seen:
                        _stop(thaw, thaw.runs.get(workspace, id))
                for id in tuple(seen):
                    now = thaw.runs.progress(workspace, id, after=seen[id])
                    seen[id] = now.last_seq
                    for event in now.events:
                        describe(event, lines[id])
                        if event.kind == "result":
                            results[id] = event.data
                    if now.run.status is Status.QUEUED:
                        _show_waiting(thaw, now.run, lines[id])
                        break  # so do those after it
                    if now.run.status.final:
                        del seen[id]
                        yield now.run, results.get(id)
                time.sleep(POLL_S)
        finally:
            if supervisor is not None:
                supervisor.close()


def _stop(thaw: Thaw, run: Run) -> None:
    """Ask a job to stop. What is no training run has nothing to keep, and is not waited for."""
    for _ in range(1 if run.kind is JobKind.TRAIN else 2):
        thaw.runs.stop(run.workspace, run.id)


def _show_waiting(thaw: Thaw, run: Run, line: ProgressLine) -> None:
    """What a job has been waiting for, once it does so for a while."""
    if time.time() - run.created > WAITING_S:
        trouble = next((f" ({error.what})" for error in thaw.troubles()), "")
        line.show(f"waits, number {run.position} in the queue{trouble}")


@contextmanager
def _wishes_to_end() -> Iterator[list[int]]:
    """A list that grows by one with Ctrl+C, and by two, so that nothing is waited for, with SIGTERM or a closed
    terminal."""
    wishes: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        wishes.extend([number] * (1 if number == signal.SIGINT else 2))

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    before = {number: signal.signal(number, note) for number in numbers if signal.getsignal(number)
              is not signal.SIG_IGN}
    try:
        yield wishes
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
