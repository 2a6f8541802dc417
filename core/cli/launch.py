"""Start a child process, follow its events, and say how it ended."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import values
from core.cli.child import MARK, STOPPED
from core.cli.output import ProgressLine, size
from core.domain import codec
from core.domain.device import Device
from core.domain.run import Failure, Result, Status
from core.errors import ThawError
from core.jobs import failures, process
from core.metrics import Unit, primary
from core.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a child ended."""

    status: Status
    result: Result | None = None
    failure: Failure | None = None


def train(run_dir: Path, *, settings: Settings, workspace: str, line: ProgressLine, resume: bool = False) -> Outcome:
    """Run the recipe in `run_dir/recipe.json` to its end; progress goes to `line`, tracebacks to `run_dir/log.txt`."""
    arguments = ["--run-dir", str(run_dir), *(["--resume"] if resume else [])]
    results: list[Result] = []

    def on_event(event: dict[str, Any]) -> None:
        if event["kind"] == "result":
            results.append(codec.from_json(Result, event["result"]))
        else:
            describe(event, line)

    status, failure = _follow(arguments, settings=settings, workspace=workspace, log=run_dir / "log.txt", on_event=on_event)
    return Outcome(status=status, result=results[-1] if results else None, failure=failure)


def prepare(payload: dict[str, Any], *, settings: Settings, workspace: str, line: ProgressLine) -> None:
    """Fetch and inspect a base model in a child; raises the ThawError it ended with."""
    status, failure = _follow(["--prepare", json.dumps(payload)], settings=settings, workspace=workspace, log=settings.home / "prepare.log",
                              on_event=lambda event: describe(event, line))
    if failure is not None:
        raise ThawError(failure.what, why=failure.why, remedy=failure.remedy, kind=failure.kind)
    if status is not Status.DONE:
        raise ThawError("Preparing was stopped.", remedy="Start it again when you are ready.")


def device(settings: Settings, *, workspace: str) -> Device | None:
    """The device as measured; measured now, in a child, where it was not. None when that failed: each run then finds out for itself."""
    path = settings.home / "device.json"
    if not path.is_file():
        line = ProgressLine("This device:")
        line.show("measuring")
        try:
            prepare({}, settings=settings, workspace=workspace, line=line)
        except ThawError as error:
            line.done(f"not measured ({error.what})")
    return values.read(path, Device)


def describe(event: dict[str, Any], line: ProgressLine) -> None:
    """Show one event on the progress line."""
    kind = event["kind"]
    if kind == "phase":
        line.show(event["phase"], now=True)
    elif kind == "progress":
        amount: Callable[[float], str] = size if event["unit"] == "bytes" else "{:.0f}".format
        total = f" of {amount(event['total'])}" if event["total"] else ""
        unit = "" if event["unit"] == "bytes" else f" {event['unit']}"
        line.show(f"{amount(event['done'])}{total}{unit} {event['note']}".rstrip())
    elif kind == "step":
        line.show(f"step {event.get('step')}/{event.get('total_steps')}, loss {event.get('loss', float('nan')):.3f}, "
                  f"{event.get('seconds', 0.0):.0f} s")
    elif kind == "eval":
        line.show(f"{validation(event)} at step {event.get('step')}", now=True)
    elif kind == "note":
        line.show(event["text"], now=True)


def validation(event: dict[str, Any]) -> str:
    """`validation accuracy 93.1 %`, by the metric that decides."""
    metric = primary(event)
    if metric is None:
        return f"validation loss {event.get('loss', float('nan')):.3f}"
    value = event[metric.name]
    return f"{metric.on('validation')} " + (f"{100 * value:.1f} %" if metric.unit is Unit.SHARE else f"{value:.3f}")


def _follow(arguments: list[str], *, settings: Settings, workspace: str, log: Path,
            on_event: Callable[[dict[str, Any]], None]) -> tuple[Status, Failure | None]:
    """Run the child to its end.

    An interrupt (Ctrl+C) is passed on once, so that the run keeps its best checkpoint; a second one ends it at once.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    failure: Failure | None = None
    killed_before = process.oom_kills()
    # Runs of one command follow each other, so each may use all cores.
    environment = process.worker_environment(dataclasses.replace(settings, slots=1))
    with log.open("a", encoding="utf-8") as log_file:
        child = subprocess.Popen([sys.executable, "-m", "core.cli.child", "--workspace", workspace, *arguments], cwd=process.ROOT,
                                 text=True, encoding="utf-8", errors="replace", stdout=subprocess.PIPE, stderr=log_file,
                                 env=environment, start_new_session=True)
        asked = ended = False
        while not ended:
            try:
                for raw in child.stdout or ():
                    if not raw.startswith(MARK):
                        log_file.write(raw)
                        continue
                    event = json.loads(raw.removeprefix(MARK))
                    if event["kind"] == "failure":
                        failure = codec.from_json(Failure, event["failure"])
                    on_event(event)
                child.wait()
                ended = True
            except KeyboardInterrupt:
                child.send_signal(signal.SIGKILL if asked else signal.SIGINT)
                asked = True
            except BaseException:
                child.kill()
                raise
    if child.returncode in (0, STOPPED):
        return Status.STOPPED if child.returncode else Status.DONE, None
    if failure is not None:
        return Status.FAILED, failure
    status, failure = failures.from_death(returncode=child.returncode, stop_asked=asked, oom=process.oom_kills() > killed_before,
                                          last_words=_end_of(log))
    if failure is not None:
        failure = dataclasses.replace(failure, why=f"{failure.why} The log is {log}.")
    return status, failure


def _end_of(log: Path, size: int = 4000) -> str:
    """The last characters of a log."""
    return log.read_bytes()[-size:].decode("utf-8", "replace")
