"""The real supervisor with the tiny worker; with THAW_TEST_FORKED every worker is forked."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys

from core import settings as settings_module
from core.jobs.engines.local import LocalEngine
from core.jobs.process import python
from core.jobs.supervisor import Supervisor, main
from tests.jobs.conftest import wait_for

WORKER = python("tests.jobs.support.worker")


def forked(identity: str) -> int:
    """What `main` does, once the process that forks is ready."""
    logging.basicConfig(level=logging.INFO)
    settings = settings_module.load()
    engine = LocalEngine(settings, worker=WORKER, preload=python("tests.jobs.support.preloaded"))
    engine.forking.begin()
    wait_for(lambda: engine.forking.ready)
    supervisor = Supervisor(settings, identity=identity, engine=engine)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, supervisor.ask_to_quit)
    supervisor.run()
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--id")
    asked = parser.parse_args().id
    sys.exit(forked(asked) if os.environ.get("THAW_TEST_FORKED") else main(identity=asked, worker_command=WORKER))
