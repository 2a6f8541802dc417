"""A data folder, supervisors as real processes, and waiting with a deadline."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import files
from core.domain import codec
from core.domain.device import Device
from core.domain.recipe import Recipe
from core.domain.run import JobKind, Run
from core.jobs import process
from core.jobs.supervisor import Supervisor
from core.settings import Settings
from core.store import Store
from core.store.jobs import NewJob

SUPERVISOR = process.python("tests.jobs.support.supervisor")


class Yard:
    """One data folder with its store, and the supervisors a test starts on it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings)
        self.supervisors: list[subprocess.Popen[bytes]] = []

    def supervise(self, **changes: Any) -> subprocess.Popen[bytes]:
        settings = replace(self.settings, **changes)
        log = settings.home / "logs" / f"test-{len(self.supervisors)}.log"
        child = process.spawn(SUPERVISOR, log=log, env=process.environment(settings))
        self.supervisors.append(child)
        return child

    def submit(self, behaviour: str, *, kind: JobKind = JobKind.TRAIN, **fields: Any) -> str:
        recipe = Recipe(dataset=behaviour, base_model="m", method="probe") if kind is JobKind.TRAIN else None
        return self.store.jobs.submit([NewJob(workspace="ws", kind=kind, name=behaviour, recipe=recipe, **fields,
                                              runs_folder=self.settings.workspace("ws") / "runs")])[0]

    def run(self, job: str) -> Run:
        return self.store.jobs.get("ws", job)

    def pid(self, job: str) -> int:
        """The worker's process, once it has begun."""
        return int(wait_for(lambda: next((claim.pid for claim in self.store.queue.active() if claim.run.id == job),
                                         None)))

    def ended(self, job: str, timeout_s: float = 30.0) -> Run:
        wait_for(lambda: self.run(job).status.final, timeout_s)
        return self.run(job)

    def steps(self, job: str) -> list[int]:
        """Steps the tiny engine has done, in order."""
        path = Path(self.run(job).folder) / "steps"
        return [int(line) for line in path.read_text(encoding="utf-8").split()] if path.exists() else []

    def log(self, job: str) -> str:
        return (Path(self.run(job).folder) / "log.txt").read_text(encoding="utf-8")


def wait_for(condition: Callable[[], Any], timeout_s: float = 30.0) -> Any:
    """The condition's first true value; fails the test when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    pytest.fail(f"not true within {timeout_s:.0f} s")


def turn(supervisor: Supervisor, condition: Callable[[], Any], timeout_s: float = 40.0) -> Any:
    """Rounds of a supervisor in this process until something is so."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        supervisor.step()
        if found := condition():
            return found
        time.sleep(0.05)
    pytest.fail(f"not true within {timeout_s:.0f} s")


def put_device(home: Path) -> None:
    """A device as if it had been measured, so that no supervisor measures it first."""
    device = Device(kind="cpu", name="test", memory_bytes=8_000_000_000, cores=1, fp32_gflops=50.0, bf16_gflops=50.0,
                    precision="fp32", versions={}, measured=0.0)
    files.write_json(home / "device.json", codec.to_json(device))


@pytest.fixture
def waiting() -> Callable[..., Any]:
    return wait_for


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    home = tmp_path / "home"
    home.mkdir()
    put_device(home)
    found = Yard(Settings(home=home, slots=1, threads=1, heartbeat_s=0.2, stale_after_s=2.0, stop_grace_s=1.0))
    yield found
    for child in found.supervisors:
        child.kill()
        child.wait()
    for claim in found.store.queue.active():
        if claim.pid:
            process.end(claim.pid, claim.pid_created, process.signal.SIGKILL)
