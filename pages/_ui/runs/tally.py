"""Runs counted by how they ended: whatever is not done is named, everywhere that runs are counted."""

from __future__ import annotations

from collections.abc import Sequence

from core.domain.run import Run, Status
from core.planning.schedule import Stretch
from core.plots.numbers import roughly

_NAMED = {Status.FAILED: "failed", Status.INTERRUPTED: "interrupted", Status.STOPPED: "stopped",
          Status.STOPPING: "stopping", Status.RUNNING: "running", Status.QUEUED: "waiting"}


def tally(runs: Sequence[Run]) -> str:
    """`4 of 6 done · 1 failed · 1 waiting`: every run in exactly one of the numbers."""
    count = {status: sum(run.status is status for run in runs) for status in Status}
    rest = [f"{count[status]} {word}" for status, word in _NAMED.items() if count[status]]
    return " · ".join([f"{count[Status.DONE]} of {len(runs)} done", *rest])


def about(seconds: float) -> str:
    """`about 4 min`, `under 10 s`."""
    text = roughly(seconds)
    return text if text.startswith("under") else f"about {text}"


def starts(when: Stretch | None) -> str:
    """`starts in about 4 min` of a waiting run; empty where that cannot be told, or it is about to."""
    return f"starts in {about(when.starts_s)}" if when and when.starts_s > 0 else ""


def left(when: Stretch | None) -> str:
    """`about 4 min left` of a run under way; empty where that cannot be told."""
    return f"{about(when.ends_s)} left" if when else ""


def why(run: Run) -> str:
    """Why a run ended early, in one sentence of Thaw's; empty for one that is done or under way."""
    if run.failure is not None and run.status in (Status.FAILED, Status.INTERRUPTED):
        return run.failure.what
    words = {Status.STOPPED: "Stopped by hand.", Status.INTERRUPTED: "Its process ended before it was done.",
             Status.FAILED: "It failed."}
    return words.get(run.status, "")
