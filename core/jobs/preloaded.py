"""A process that has imported what runs need, and forks a worker for each: `python -m core.jobs.preloaded`.

Importing torch, transformers and scikit-learn takes six seconds of a core, a fifth of a short run. Workers stay
processes of their own, with a session, a log and a temporary folder each; pages of memory that none of them writes to
are shared. Nothing is computed here, so that no thread pool is started before a fork (as `multiprocessing`'s fork
server does it). Orders come in and answers go out as lines of JSON; it ends when its supervisor does, its workers live
on.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import select
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from core.jobs import process, worker

MODULES = ("core.training.execute", "core.training.features_phase", "core.training.extract", "core.training.prepare",
           "core.analysis.shift_report", "bitsandbytes", "peft", "pyarrow.parquet", "scipy.optimize", "scipy.stats",
           "sklearn.linear_model", "transformers.models.auto.modeling_auto")
READY = {"ready": True}
"""The first answer: workers can be forked."""


Work = Callable[[list[str]], int]
"""Arguments of a worker's command line -> its exit status."""


def serve(orders: int, answers: int, work: Work) -> None:
    """Fork a worker for each order, and say how each ended, until no more can come."""
    ended, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    workers: set[int] = set()
    held = b""
    while True:
        there = select.select([orders, ended], [], [])[0]
        if ended in there:
            os.read(ended, 4096)
            workers -= {pid for pid in tuple(workers) if _reaped(pid, answers)}
        if orders in there:
            read = os.read(orders, 65536)
            if not read:
                return
            *lines, held = (held + read).split(b"\n")
            for line in lines:
                workers.add(_fork(json.loads(line), (answers, ended, woken), work))


def _fork(order: Mapping[str, Any], ours: tuple[int, ...], work: Work) -> int:
    """Fork one worker. It begins once its number has been told, and never where nobody is there to be told.

    ours: file descriptors that are not for workers, the one for answers first.
    """
    answers, (its_own, begun), (told, go) = ours[0], os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        for each in (*ours, its_own, go):
            os.close(each)
        _be_worker(order, begun, told, work)
    os.close(begun)
    os.close(told)
    os.read(its_own, 1)
    say(answers, {"pid": pid})
    os.write(go, b".")
    os.close(go)
    os.close(its_own)
    return pid


def _be_worker(order: Mapping[str, Any], begun: int, told: int, work: Work) -> NoReturn:
    """What `python -m core.jobs.worker` does in a fresh process, in this one."""
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for new, old in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(new, old)
        os.write(begun, b".")
        if not os.read(told, 1):
            os._exit(0)
        os.environ.clear()
        os.environ.update(order["environment"])
        tempfile.tempdir = None  # of the environment that was
        random.seed()
        status = work(order["arguments"])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - nothing may go on in a copy of the server
        traceback.print_exc()
    process.leave(status)


def _reaped(pid: int, answers: int) -> bool:
    """Whether a worker has ended. What it left behind in its group is ended, and its end told, before its number can be
    given to another process."""
    end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if end is None:
        return False
    process.end_group(pid)
    say(answers, {"ended": pid, "status": end.si_status if end.si_code == os.CLD_EXITED else -end.si_status})
    os.waitpid(pid, 0)
    return True


def say(answers: int, what: Mapping[str, Any]) -> None:
    """One line."""
    os.write(answers, json.dumps(what).encode() + b"\n")


def main(modules: Sequence[str] = MODULES, work: Work = worker.main) -> int:
    """Import, then serve. What libraries print goes to the log, never among the answers."""
    answers = os.dup(1)
    os.dup2(2, 1)
    if "--give-way" in sys.argv[1:]:
        process.give_way()
    for name in modules:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else the first collection of each worker writes to every page
    say(answers, READY)
    serve(0, answers, work)
    return 0


if __name__ == "__main__":
    process.leave(main())
