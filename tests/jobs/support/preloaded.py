"""The real process that forks workers, which become the tiny one."""

from __future__ import annotations

from core.jobs.preloaded import main
from core.jobs.process import leave
from core.jobs.worker import main as be_worker
from tests.jobs.support.worker import HANDLERS


def work(arguments: list[str]) -> int:
    return be_worker(arguments, handlers=HANDLERS)


if __name__ == "__main__":
    leave(main((), work))
