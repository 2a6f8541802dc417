"""One run or one preparation in a process of its own: `python -m core.cli.child …`.

Reads what to do from its arguments, trains through the engine, and writes every event as one JSON line on stdout. Its own
process means that memory is measured from a clean start and that one run's crash leaves the others alone.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from core import settings as settings_module
from core.cli.boundary import read_recipe
from core.domain import codec
from core.domain.run import Phase
from core.jobs import failures, process

MARK = "@thaw "
"""Begins each event line; anything else on stdout is a library talking."""
STOPPED = 3
"""Exit status of a run that was asked to stop and kept its best checkpoint."""


class PipeObserver:
    """An `Observer` that writes events to stdout and stops on the first interrupt."""

    def __init__(self) -> None:
        self._stop = False
        self._last_progress = 0.0
        signal.signal(signal.SIGINT, self._interrupted)
        signal.signal(signal.SIGTERM, self._interrupted)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        self._stop = True

    def phase(self, phase: Phase) -> None:
        emit("phase", phase=phase.value)

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        now = time.monotonic()
        if now - self._last_progress >= 0.2 or done == total:
            self._last_progress = now
            emit("progress", done=done, total=total, unit=unit, note=note)

    def step(self, **data: Any) -> None:
        emit("step", **data)

    def evaluation(self, **data: Any) -> None:
        emit("eval", **data)

    def note(self, text: str) -> None:
        emit("note", text=text)

    def should_stop(self) -> bool:
        return self._stop

    @property
    def stopped(self) -> bool:
        return self._stop


def emit(kind: str, **data: Any) -> None:
    """One event line."""
    sys.stdout.write(MARK + json.dumps({"kind": kind, "time": time.time(), **codec.to_json(data)}, default=float) + "\n")
    sys.stdout.flush()


def main(argv: list[str] | None = None) -> int:
    """0 done, 1 failed (the failure is the last event), STOPPED (3) stopped on request with the best checkpoint kept."""
    parser = argparse.ArgumentParser(prog="python -m core.cli.child")
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--run-dir", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--prepare", help="JSON of {model, dataset}")
    args = parser.parse_args(argv)
    observer = PipeObserver()
    try:
        if args.prepare:
            from core.training.prepare import prepare

            emit("prepared", **prepare(json.loads(args.prepare), settings=settings_module.load(), workspace=args.workspace,
                                       observer=observer))
            return 0
        return _train(args.run_dir, args.workspace, args.resume, observer)
    except Exception as problem:  # noqa: BLE001 - the process boundary: a typed failure for people, the traceback for the log
        traceback.print_exc()
        log = str(args.run_dir / "log.txt") if args.run_dir else "prepare.log in the data folder"
        emit("failure", failure=failures.from_exception(problem, log=log))
    return 1


def _train(run_dir: Path, workspace: str, resume: bool, observer: PipeObserver) -> int:
    from core.training.execute import execute

    recipe = read_recipe(run_dir)
    result = execute(recipe, settings=settings_module.load(), workspace=workspace, run_dir=run_dir, observer=observer, resume=resume)
    emit("result", result=result)
    return STOPPED if observer.stopped else 0


if __name__ == "__main__":
    process.leave(main())
