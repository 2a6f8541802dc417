"""The boundary of the command line: whatever a command raises becomes an error of three parts, with its traceback in a
named log."""

from __future__ import annotations

import errno
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from core import logs
from core.errors import DataError, ThawError
from core.settings import Settings
from core.unforeseen import explained

LOG = f"{logs.FOLDER}/command.log"
"""Below the data folder."""
_OF_FILES = frozenset({errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EROFS,
                       errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTEMPTY})
"""What the system says of a file or folder rather than of Thaw."""


def in_three_parts(problem: Exception, *, arguments: Sequence[str], settings: Settings | None) -> ThawError:
    """The error to show for an exception that nothing foresaw; its traceback is written to a log first. Never
    raises."""
    log = _write(problem, arguments, settings)
    where = str(log) if log else ""
    if isinstance(problem, OSError) and problem.errno in _OF_FILES and problem.filename is not None:
        return ThawError(f"{problem.filename} cannot be used.", kind=DataError.kind,
                         why=f"The system says: {problem.strerror}.{f' The details are in {where}.' if where else ''}",
                         remedy="Check that the path is right and that this account may read and write there, "
                                "then try again.")
    return explained(problem, log=where, doing="The command ended in an error that Thaw did not foresee.")


def _write(problem: Exception, arguments: Sequence[str], settings: Settings | None) -> Path | None:
    """Append the traceback to the log of the data folder, or of the system's temporary folder; None where neither can
    be written."""
    text = "".join(traceback.format_exception(problem))
    entry = f"{time.strftime('%Y-%m-%d %H:%M:%S')} core {' '.join(arguments)}\n{text}\n"
    homes = [settings.home] if settings is not None else []
    for home in (*homes, Path(tempfile.gettempdir()) / "thaw"):
        path = home / LOG
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            logs.rotate(path)
            with path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(entry)
            return path
        except OSError:
            continue
    return None


def forgiving_streams() -> None:
    """Characters that the terminal cannot show are replaced instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
