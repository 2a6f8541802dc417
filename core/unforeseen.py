"""From any exception to the three parts of an error: what it means where that is known, else where the log is."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from core.errors import FailureKind, ThawError

_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "bad_alloc",
                 "bad allocation", "alloc_failed", "unable to allocate", "failed to map segment",
                 "can't start new thread")
"""How torch, CUDA, numpy, C++, the loader of libraries and Python say that memory has run out."""
UNFORESEEN = "An unexpected "
"""Begins why something failed that no part of Thaw knows; an exception's own words follow."""
_DISK_WORDS = ("no space left on device", "disk quota exceeded", "disk is full", "failed writing file",
               "inline_container.cc", "not enough free space", "not enough free disk space")
"""How safetensors, Arrow, SQLite, torch (inline_container), numpy and the hub say that the disk is full."""
LAST_WORDS = ("memoryerror", "std::bad_alloc", "memory allocation of", "cannot allocate memory",
              "can't allocate memory", "out of memory", "failed to map segment")
"""What the log of a process that died for lack of memory ends with: Python's, C++'s, Rust's, the system's words."""


def explained(error: BaseException, *, log: str = "", doing: str = "") -> ThawError:
    """The same error in three parts; a ThawError is returned as it is.

    log: where its traceback was written, named in the text. doing: what did not work, as a sentence; a general one when
    empty.
    """
    if isinstance(error, ThawError):
        return error
    why, place = first_line(error), f" The details are in {log}." if log else ""
    if is_out_of_memory(error):
        return ThawError("It needed more memory than there is.", why=f"{why}{place}", kind=FailureKind.OUT_OF_MEMORY)
    if is_disk_full(error):
        return ThawError("The disk is full.", why=f"{why}{place}", kind=FailureKind.INTERRUPTED,
                         remedy="Delete runs or datasets that are not needed, or free space elsewhere. Interrupted "
                                "runs can be resumed.")
    if is_database_trouble(error):
        return ThawError("The database of the data folder did not answer as it should.",
                         why=f"SQLite says: {why}.{place}",
                         remedy="It is tried again by itself. If this stays, see that thaw.db is writable and on a "
                                "healthy local disk.")
    said = f"{type(error).__name__}: {why}" if why else type(error).__name__
    return ThawError(doing or "Something inside Thaw went wrong.", why=f"{UNFORESEEN}{said}.{place}",
                     kind=FailureKind.INTERNAL, remedy="This is a fault in Thaw, not in your data; please report "
                                                       f"it{f' with {log}' if log else ''}.")


def is_fault(error: BaseException) -> bool:
    """Whether it tells of something that went wrong, not of a wish to end: any Exception, and a panic of a library
    written in Rust, which pyo3 raises past `except Exception`."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def is_out_of_memory(error: BaseException) -> bool:
    """Python's MemoryError, torch's OutOfMemoryError, or a library's error that says so; looks at causes too."""
    for current in _chain(error):
        named = any(kind.__name__ in ("MemoryError", "OutOfMemoryError") for kind in type(current).__mro__)
        enomem = isinstance(current, OSError) and current.errno == errno.ENOMEM
        text = str(current).lower()
        if (named or enomem
            or (isinstance(current, (RuntimeError, ImportError)) and any(words in text for words in _MEMORY_WORDS))):
            return True
    return False


def is_disk_full(error: BaseException) -> bool:
    """Whether the disk, or the share of it that one may use, was full; looks at causes too."""
    for current in _chain(error):
        if isinstance(current, OSError) and current.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if (not isinstance(current, (ThawError, ValueError, KeyError))
                and any(words in str(current).lower() for words in _DISK_WORDS)):
            return True
    return False


def is_database_trouble(error: BaseException) -> bool:
    """Whether SQLite refused: busy, damaged, not writable, full."""
    return any(kind.__module__ == "sqlite3" and kind.__name__ == "DatabaseError" for kind in type(error).__mro__)


def first_line(error: BaseException) -> str:
    """The first line of its text, at most 300 characters."""
    text = str(error).strip()
    return text.splitlines()[0][:300].rstrip(".") if text else ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what caused it, and so on."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
