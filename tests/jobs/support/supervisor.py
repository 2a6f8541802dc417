"""The real supervisor with the tiny worker; with THAW_TEST_FORKED every worker is forked."""

from __future__ import annotations

import argparse
import os
import sys

from core import settings as settings_module
from core.jobs.engines.local import LocalEngine
from core.jobs.process import python
from core.jobs.supervisor import main
from tests.jobs.conftest import wait_for

WORKER = python("tests.jobs.support.worker")


def forking() -> LocalEngine:
    """An engine whose process that forks is ready."""
    engine = LocalEngine(settings_module.load(), worker=WORKER, preload=python("tests.jobs.support.preloaded"))
    engine.forking.begin()
    wait_for(lambda: engine.forking.ready)
    return engine


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--id")
    asked = parser.parse_args().id
    sys.exit(main(identity=asked, worker_command=WORKER,
                  engine=forking() if os.environ.get("THAW_TEST_FORKED") else None))
