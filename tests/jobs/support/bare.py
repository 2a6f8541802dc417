"""A worker that knows no kind of job."""

from __future__ import annotations

from core.jobs.process import leave
from core.jobs.worker import main

if __name__ == "__main__":
    leave(main(handlers={}))
