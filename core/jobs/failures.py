"""From what went wrong to what the page says: exceptions and dead workers as `Failure`."""

from __future__ import annotations

import errno
import signal

from core.domain.run import Failure, Status
from core.errors import TIPS, FailureKind, ThawError


def from_exception(error: BaseException) -> Failure:
    """The three parts of an error, without its traceback (which goes to the run's log)."""
    if isinstance(error, ThawError):
        return Failure(kind=error.kind, what=error.what, why=error.why, remedy=error.remedy)
    if is_out_of_memory(error):
        return Failure(kind=FailureKind.OUT_OF_MEMORY, what="The run needed more memory than there is.", why=_first_line(error),
                       remedy=TIPS[FailureKind.OUT_OF_MEMORY])
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure(kind=FailureKind.INTERRUPTED, what="The disk is full.", why=_first_line(error),
                       remedy="Free some space in the data folder, then press Resume to go on from the last checkpoint.")
    return Failure(kind=FailureKind.INTERNAL, what="Something inside Thaw went wrong.", why=f"{type(error).__name__}: {_first_line(error)}",
                   remedy=TIPS[FailureKind.INTERNAL])


def is_out_of_memory(error: BaseException) -> bool:
    """Python's MemoryError, torch's OutOfMemoryError, or a RuntimeError whose text says so; looks at causes too."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        text = str(current).lower()
        named = any(kind.__name__ in ("MemoryError", "OutOfMemoryError") for kind in type(current).__mro__)
        enomem = isinstance(current, OSError) and current.errno == errno.ENOMEM
        said = isinstance(current, RuntimeError) and any(phrase in text for phrase in (
            "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory"))
        if named or enomem or said:
            return True
        current = current.__cause__ or current.__context__
    return False


def from_death(*, returncode: int | None, stop_asked: bool, oom: bool) -> tuple[Status, Failure | None]:
    """The end of a run whose worker died without recording one.

    returncode: of our own child (negative: the signal), None when unknown. oom: the system ended a process for lack of
    memory while the worker ran.
    """
    if stop_asked:
        return Status.STOPPED, None
    if oom and returncode in (None, -signal.SIGKILL):
        return Status.FAILED, Failure(kind=FailureKind.OUT_OF_MEMORY, what="The run needed more memory than there is.",
                                      why="The system ended its process to get memory back.", remedy=TIPS[FailureKind.OUT_OF_MEMORY])
    if returncode is not None and returncode >= 0:
        return Status.FAILED, Failure(kind=FailureKind.INTERNAL, what="The run's process ended without a result.",
                                      why=f"Its exit status was {returncode}; the log says more.", remedy=TIPS[FailureKind.INTERNAL])
    return Status.INTERRUPTED, interrupted(None if returncode is None else f"Its process was ended by {_signal_name(-returncode)}.")


def interrupted(why: str | None) -> Failure:
    """The failure of a run whose process ended without a word."""
    return Failure(kind=FailureKind.INTERRUPTED, what="The run was interrupted.", why=why or "Its process is gone.",
                   remedy=TIPS[FailureKind.INTERRUPTED])


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else ""
