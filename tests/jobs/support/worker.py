"""A worker whose engine is tiny: the recipe's `dataset` names what it does. Started like the real one, by a
supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

from core import files
from core.domain.run import JobKind, Phase, Result, Status
from core.errors import DataError
from core.jobs.handlers import Job
from core.jobs.process import leave
from core.jobs.worker import UNRECORDED, main

STEPS = 300
STEP_S = 0.01
ALONE_STEPS = 40


def result(steps: int = 0) -> Result:
    return Result(metrics={}, trainable_params=1, total_params=2, seconds=0.1, phase_seconds={}, peak_memory_bytes=3,
                  estimated_memory_bytes=4, artifact_bytes=5, steps=steps, samples=steps, precision="fp32",
                  device="cpu")


def once(job: Job) -> Result:
    """Leaves a line for every execution."""
    with (job.settings.home / "executions").open("a", encoding="utf-8") as file:
        file.write(f"{job.run.id}\n")
    time.sleep(0.05)
    return result()


def steps(job: Job) -> Result:
    """Trains with a checkpoint every ten steps; every step that was done is on record."""
    checkpoint = job.folder / "checkpoint.json"
    start = (files.read_json(checkpoint) or 0) if job.resume else 0
    job.observer.phase(Phase.TRAINING)
    for step in range(start + 1, STEPS + 1):
        if job.observer.should_stop():
            return result(step - 1)
        time.sleep(STEP_S)
        with (job.folder / "steps").open("a", encoding="utf-8") as file:
            file.write(f"{step}\n")
        job.observer.step(step=step, total_steps=STEPS, loss=1.0 / step)
        if step % 10 == 0:
            files.write_json(checkpoint, step)
    return result(STEPS)


def alone(job: Job) -> Result:
    """Like `steps` with a checkpoint every five of 40, and a witness: a lock that the system holds as long as the
    process lives, stopped or not. Whoever finds it taken says so: two workers were at one run."""
    import fcntl

    with (job.folder / "witness").open("a", encoding="utf-8") as witness:
        try:
            fcntl.flock(witness, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            (job.folder / "TWICE").touch()
        checkpoint = job.folder / "checkpoint.json"
        start = (files.read_json(checkpoint) or 0) if job.resume else 0
        job.observer.phase(Phase.TRAINING)
        for step in range(start + 1, ALONE_STEPS + 1):
            if job.observer.should_stop():
                return result(step - 1)
            time.sleep(STEP_S)
            witness.write(f"{step}\n")
            witness.flush()
            job.observer.step(step=step, total_steps=ALONE_STEPS, loss=1.0 / step)
            if step % 5 == 0:
                files.write_json(checkpoint, step)
        return result(ALONE_STEPS)


def deaf(job: Job) -> Result:
    """Never asks whether it should stop."""
    job.observer.phase(Phase.TRAINING)
    time.sleep(600)
    return result()


def deafer(job: Job) -> Result:
    """Ignores SIGTERM too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return deaf(job)


def family(job: Job) -> Result:
    """Starts a child of its own and is killed as by `kill -9`."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (job.folder / "child").write_text(str(child.pid), encoding="utf-8")
    os.kill(os.getpid(), signal.SIGKILL)
    return result()


def die(job: Job) -> Result:
    os._exit(7)


def exits(status: int) -> Any:
    """Ends as a worker does that could not record its end."""
    def handler(job: Job) -> Result:
        os._exit(status)

    return handler


def says(words: str, number: int) -> Any:
    """Dies with these last words in the log."""
    def handler(job: Job) -> Result:
        os.write(2, words.encode() + b"\n")
        if number:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        os._exit(1)

    return handler


def limited(job: Job) -> Result:
    """Asks for more memory than it may have."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    return [bytearray(1 << 28) for _ in range(64)] and result()


def litter(job: Job) -> Result:
    """Leaves temporary files everywhere and waits to be killed; the second time, it says what is left of the first."""
    import tempfile

    if job.resume:
        (job.folder / "found").write_text(" ".join(path.name for path in job.folder.iterdir()), encoding="utf-8")
        return result()
    tempfile.mkdtemp(prefix="thaw-")
    (job.folder / ".result.json-abc").write_text("{", encoding="utf-8")
    (job.folder / "ready").touch()
    time.sleep(600)
    return result()


class PanicException(BaseException):
    """Named and derived like pyo3's."""


def raises(error: BaseException) -> Any:
    def handler(job: Job) -> Result:
        job.observer.phase(Phase.PREPARING)
        raise error

    return handler


def environment(job: Job) -> dict[str, Any]:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TOKENIZERS_PARALLELISM", "PYTHONUNBUFFERED", "THAW_HOME",
             "THAW_SLOTS")
    leads = os.getpgrp() == os.getpid() == os.getsid(0)
    return {name: os.environ.get(name, "") for name in names} | {"leader": leads, "nice": os.nice(0)}


BEHAVIOURS: dict[str, Any] = {
    "once": once, "alone": alone, "steps": steps, "deaf": deaf, "deafer": deafer, "family": family, "die": die,
    "environment": environment, "memory": raises(MemoryError()),
    "cuda": raises(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")),
    "data": raises(DataError("Row 3 has no label.", why="Its cell is empty.", remedy="Fill it in.")),
    "bug": raises(KeyError("oops")), "panic": raises(PanicException("oops")),
    "unrecorded-done": exits(UNRECORDED[Status.DONE]), "unrecorded-stopped": exits(UNRECORDED[Status.STOPPED]),
    "cpp-memory": says("terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc",
                       signal.SIGABRT),
    "rust-memory": says("memory allocation of 8589934592 bytes failed", signal.SIGABRT),
    "python-memory": says("Traceback (most recent call last):\n  …\nMemoryError", 0),
    "mapped": says("", signal.SIGBUS), "limited-memory": limited, "litter": litter,
    "disk": raises(OSError(28, "No space left on device")),
}


def train(job: Job) -> Any:
    assert job.run.recipe is not None
    return BEHAVIOURS[job.run.recipe.dataset](job)


def prepare(job: Job) -> dict[str, Any]:
    job.observer.progress(1, 2, "bytes")
    return dict(job.run.payload)


def unforeseen(job: Job) -> dict[str, Any]:
    """What a handler of another kind does when something that nobody thought of is raised in it."""
    raise ZeroDivisionError(f"in a job of kind {job.run.kind}")


HANDLERS = {JobKind.TRAIN: train, JobKind.PREPARE: prepare, JobKind.IMPORT: unforeseen, JobKind.FEATURES: unforeseen}


if __name__ == "__main__":
    leave(main(handlers=HANDLERS))
