"""From what went wrong to what the page says: exceptions and dead workers as `Failure`."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from core.domain.run import Failure, JobKind, Status
from core.domain.tips import called, tip
from core.errors import TIPS, FailureKind
from core.unforeseen import LAST_WORDS, explained


def from_exception(error: BaseException, *, log: str = "", kind: JobKind = JobKind.TRAIN) -> Failure:
    """The three parts of an error, without its traceback (which goes to the run's log, and to the file named `log`)."""
    found = explained(error, log=log)
    remedy = tip(found.kind, kind) or found.remedy if found.remedy == TIPS[found.kind] else found.remedy
    what = _no_memory(kind) if found.kind is FailureKind.OUT_OF_MEMORY and found is not error else found.what
    return Failure(kind=found.kind, what=what, why=found.why, remedy=remedy)


def from_death(*, returncode: int | None, stop_asked: bool, oom: bool, last_words: str = "",
               limited: bool = False, kind: JobKind = JobKind.TRAIN) -> tuple[Status, Failure | None]:
    """The end of a run, or of other work, whose worker died without recording one.

    returncode: of our own child (negative: the signal), None when unknown. oom: the system ended a process for lack of
    memory while the worker ran. last_words: the end of its log. limited: processes here may have only so much memory
    (ulimit -v), and libraries that get none crash.
    """
    if stop_asked:
        return Status.STOPPED, None
    if oom and returncode in (None, -signal.SIGKILL):
        return Status.FAILED, _out_of_memory("The system ended its process to get memory back.", kind)
    if limited and returncode is not None and _signal_name(-returncode) in ("SIGSEGV", "SIGABRT", "SIGBUS"):
        ended = f"was ended by {_signal_name(-returncode)}"
        return Status.FAILED, _out_of_memory(f"Its process, which may have only so much memory, {ended}.", kind)
    if returncode not in (None, 0, -signal.SIGKILL, -signal.SIGTERM) and (said := _said(last_words, LAST_WORDS)):
        return Status.FAILED, _out_of_memory(f"Its log ends with: {said}", kind)
    if returncode is not None and returncode >= 0:
        return Status.FAILED, Failure(kind=FailureKind.INTERNAL,
                                      what=f"The process of {_thing(kind)} ended without a result.",
                                      why=f"Its exit status was {returncode}; the log says more.",
                                      remedy=TIPS[FailureKind.INTERNAL])
    why = None if returncode is None else f"Its process was ended by {_signal_name(-returncode)}."
    return Status.INTERRUPTED, interrupted(why, kind)


def _out_of_memory(why: str, kind: JobKind) -> Failure:
    return Failure(kind=FailureKind.OUT_OF_MEMORY, what=_no_memory(kind), why=why,
                   remedy=tip(FailureKind.OUT_OF_MEMORY, kind))


def _thing(kind: JobKind) -> str:
    return f"the {called(kind)}"


def _no_memory(kind: JobKind) -> str:
    return f"{_thing(kind).capitalize()} needed more memory than there is."


def _said(text: str, phrases: Sequence[str]) -> str:
    """The last line with one of these phrases, among the last twenty; empty when there is none."""
    lines = [line.strip() for line in text.splitlines()[-20:]]
    return next((line[:200] for line in reversed(lines) if any(phrase in line.lower() for phrase in phrases)), "")


def interrupted(why: str | None, kind: JobKind = JobKind.TRAIN) -> Failure:
    """The failure of a run, or of other work, whose process ended without a word."""
    return Failure(kind=FailureKind.INTERRUPTED, what=f"{_thing(kind).capitalize()} was interrupted.",
                   why=why or "Its process is gone.", remedy=tip(FailureKind.INTERRUPTED, kind))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
