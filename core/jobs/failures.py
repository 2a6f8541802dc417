"""From what went wrong to what the page says: exceptions and dead workers as `Failure`."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from core.domain.run import Failure, Status
from core.errors import TIPS, FailureKind
from core.unforeseen import LAST_WORDS, explained

_NO_MEMORY = "The run needed more memory than there is."


def from_exception(error: BaseException, *, log: str = "") -> Failure:
    """The three parts of an error, without its traceback (which goes to the run's log, and to the file named `log`)."""
    found = explained(error, log=log)
    if found.kind is FailureKind.OUT_OF_MEMORY and found is not error:
        return Failure(kind=found.kind, what=_NO_MEMORY, why=found.why, remedy=found.remedy)
    return Failure(kind=found.kind, what=found.what, why=found.why, remedy=found.remedy)


def from_death(*, returncode: int | None, stop_asked: bool, oom: bool, last_words: str = "",
               limited: bool = False) -> tuple[Status, Failure | None]:
    """The end of a run whose worker died without recording one.

    returncode: of our own child (negative: the signal), None when unknown. oom: the system ended a process for lack of
    memory while the worker ran. last_words: the end of its log. limited: processes here may have only so much memory
    (ulimit -v), and libraries that get none crash.
    """
    if stop_asked:
        return Status.STOPPED, None
    if oom and returncode in (None, -signal.SIGKILL):
        return Status.FAILED, _out_of_memory("The system ended its process to get memory back.")
    if limited and returncode is not None and _signal_name(-returncode) in ("SIGSEGV", "SIGABRT", "SIGBUS"):
        ended = f"was ended by {_signal_name(-returncode)}"
        return Status.FAILED, _out_of_memory(f"Its process, which may have only so much memory, {ended}.")
    if returncode not in (None, 0, -signal.SIGKILL, -signal.SIGTERM) and (said := _said(last_words, LAST_WORDS)):
        return Status.FAILED, _out_of_memory(f"Its log ends with: {said}")
    if returncode is not None and returncode >= 0:
        return Status.FAILED, Failure(kind=FailureKind.INTERNAL, what="The run's process ended without a result.",
                                      why=f"Its exit status was {returncode}; the log says more.",
                                      remedy=TIPS[FailureKind.INTERNAL])
    why = None if returncode is None else f"Its process was ended by {_signal_name(-returncode)}."
    return Status.INTERRUPTED, interrupted(why)


def _out_of_memory(why: str) -> Failure:
    return Failure(kind=FailureKind.OUT_OF_MEMORY, what=_NO_MEMORY, why=why, remedy=TIPS[FailureKind.OUT_OF_MEMORY])


def _said(text: str, phrases: Sequence[str]) -> str:
    """The last line with one of these phrases, among the last twenty; empty when there is none."""
    lines = [line.strip() for line in text.splitlines()[-20:]]
    return next((line[:200] for line in reversed(lines) if any(phrase in line.lower() for phrase in phrases)), "")


def interrupted(why: str | None) -> Failure:
    """The failure of a run whose process ended without a word."""
    return Failure(kind=FailureKind.INTERRUPTED, what="The run was interrupted.", why=why or "Its process is gone.",
                   remedy=TIPS[FailureKind.INTERRUPTED])


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
