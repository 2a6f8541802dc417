"""Which failure each way of dying is."""

from __future__ import annotations

import errno
import signal

import pytest

from core.domain.run import Status
from core.errors import FailureKind, FetchError, NonFiniteLossError
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
