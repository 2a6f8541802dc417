"""Which failure each way of dying is."""

from __future__ import annotations

import errno
import signal

import pytest

from core.domain import tips
from core.domain.run import JobKind, Status
from core.errors import DataError, FailureKind, FetchError, NonFiniteLossError
from core.jobs import failures

OOM = FailureKind.OUT_OF_MEMORY


class OutOfMemoryError(RuntimeError):
    """Named and derived like torch's."""


def wrapped() -> Exception:
    try:
        try:
            raise MemoryError
        except MemoryError as inner:
            raise ValueError("loading failed") from inner
    except ValueError as error:
        return error


@pytest.mark.parametrize(("error", "kind"), [
    (MemoryError(), OOM), (OutOfMemoryError("x"), OOM),
    (RuntimeError("CUDA out of memory. Tried to allocate 20 MiB"), OOM),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), OOM),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), OOM), (wrapped(), OOM),
    (FetchError("No source answers."), FailureKind.FETCH),
    (NonFiniteLossError("Loss is NaN."), FailureKind.NON_FINITE_LOSS),
    (ValueError("out of memory is only a word here"), FailureKind.INTERNAL), (KeyError("label"), FailureKind.INTERNAL),
    (OSError(errno.ENOSPC, "No space left on device"), FailureKind.INTERRUPTED),
])
def test_kind_of_an_exception(error: Exception, kind: FailureKind) -> None:
    failure = failures.from_exception(error)
    assert failure.kind is kind
    assert failure.what and failure.remedy


def test_a_long_message_is_one_line() -> None:
    assert "\n" not in failures.from_exception(ValueError("first\nsecond")).why


@pytest.mark.parametrize(("number", "limited", "kind"), [
    (signal.SIGSEGV, True, OOM), (signal.SIGABRT, True, OOM), (signal.SIGBUS, True, OOM),
    (signal.SIGSEGV, False, FailureKind.INTERRUPTED), (signal.SIGTERM, True, FailureKind.INTERRUPTED)])
def test_a_crash_under_a_limit_on_memory(number: signal.Signals, limited: bool, kind: FailureKind) -> None:
    _, failure = failures.from_death(returncode=-number, stop_asked=False, oom=False, limited=limited)
    assert failure is not None and failure.kind is kind


@pytest.mark.parametrize(("returncode", "stop", "oom", "status", "kind"), [
    (-signal.SIGKILL, False, False, Status.INTERRUPTED, FailureKind.INTERRUPTED),
    (-signal.SIGKILL, False, True, Status.FAILED, OOM),
    (-signal.SIGSEGV, False, True, Status.INTERRUPTED, FailureKind.INTERRUPTED),
    (None, False, False, Status.INTERRUPTED, FailureKind.INTERRUPTED),
    (1, False, False, Status.FAILED, FailureKind.INTERNAL),
    (-signal.SIGKILL, True, False, Status.STOPPED, None),
])
def test_end_of_a_worker_that_recorded_none(returncode: int | None, stop: bool, oom: bool, status: Status,
                                            kind: FailureKind | None) -> None:
    found, failure = failures.from_death(returncode=returncode, stop_asked=stop, oom=oom)
    assert found is status
    assert (failure.kind if failure else None) is kind


@pytest.mark.parametrize("kind", list(JobKind))
def test_only_runs_are_resumed_and_forked(kind: JobKind) -> None:
    """Of other work there is no checkpoint and no recipe, and the page has no button of that name."""
    _, killed = failures.from_death(returncode=None, stop_asked=False, oom=False, kind=kind)
    _, no_memory = failures.from_death(returncode=-signal.SIGKILL, stop_asked=False, oom=True, kind=kind)
    _, ended = failures.from_death(returncode=1, stop_asked=False, oom=False, kind=kind)
    raised = [failures.from_exception(error, kind=kind) for error in (
        MemoryError(), FetchError("No source answers."), DataError("No rows.", remedy="Choose a file with rows."))]
    found = [killed, no_memory, ended, *raised]
    words = " ".join(f"{each.what} {each.remedy} {tips.tip(each.kind, kind)}" for each in found if each).lower()
    of_a_run = kind in (JobKind.TRAIN, JobKind.TRIAL, JobKind.UNKNOWN)
    assert ("resume" in words) == ("fork" in words) == ("the run" in words) == of_a_run
    assert all(each is not None and each.what and each.remedy for each in found)
    assert raised[-1].remedy == "Choose a file with rows."


def test_an_import_is_called_an_import() -> None:
    _, failure = failures.from_death(returncode=None, stop_asked=False, oom=False, kind=JobKind.IMPORT)
    assert failure is not None and failure.what == "The import was interrupted."
    assert failures.from_exception(MemoryError(), kind=JobKind.EXPORT).what == (
        "The export needed more memory than there is.")
