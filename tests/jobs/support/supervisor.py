"""The real supervisor with the tiny worker."""

from __future__ import annotations

import argparse
import sys

from core.jobs.process import python
from core.jobs.supervisor import main

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--id")
    sys.exit(main(identity=parser.parse_args().id, worker_command=python("tests.jobs.support.worker")))
