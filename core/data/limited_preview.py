"""Look at an upload in a process of its own, with limits on its memory and time: whatever a file does there, the web
process stays.

Plain text files of a few kilobytes are looked at in place: with so few bytes, the limits on columns and cells bound
everything.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from core.data import browse, packed
from core.data.browse import TablePreview
from core.data.readers.table import MAX_COLUMNS
from core.domain.dataset import Task
from core.errors import DataError, ThawError
from core.settings import Settings

MEMORY_BYTES = 3_000_000_000
"""Address space of the process that looks; what it holds at any time is far less."""
TIMEOUT_S = 60.0
SMALL_BYTES = 64_000
"""Plain text files up to this size are looked at in place."""
_AT_ONCE = threading.BoundedSemaphore(2)
_LIMITS = ("max_upload_mb", "max_rows", "max_archive_files", "max_pixels")


def preview(path: Path, *, settings: Settings) -> TablePreview:
    """`browse.preview` within limits. Raises DataError, also when the file needs too much memory or time."""
    if _is_small_text(path):
        return browse.preview(path, settings=settings)
    if not _AT_ONCE.acquire(timeout=TIMEOUT_S):
        raise DataError(f"{path.name} could not be looked at yet.",
                        why="Many files are being looked at on this server.", remedy="Wait a little and try again.")
    try:
        return _elsewhere(path, settings)
    finally:
        _AT_ONCE.release()


def _is_small_text(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size > SMALL_BYTES:
        return False
    with path.open("rb") as file:
        start = file.read(16)
    return not start.startswith((b"PK", b"PAR1")) and packed.kind_of(start) is None and path.suffix.lower() in (
        ".csv", ".tsv", ".tab", ".txt", ".jsonl", ".ndjson", ".json")


def _elsewhere(path: Path, settings: Settings) -> TablePreview:
    request = json.dumps({"path": str(path.absolute()), "limits": {name: getattr(settings, name) for name in _LIMITS}})
    # what the process leaves behind when it is ended goes with it
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        environment = os.environ | {"TMPDIR": temporary, "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
        try:
            done = subprocess.run([sys.executable, "-m", "core.data.limited_preview"], input=request,
                                  capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
                                  cwd=Path(__file__).parents[2], env=environment)
        except subprocess.TimeoutExpired as error:
            raise DataError(f"{path.name} takes too long to look at.",
                            why=f"Its first rows were not there after {TIMEOUT_S:.0f} seconds.",
                            remedy="Save it as CSV (UTF-8) or Parquet, or import a part of it.") from error
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        raise _too_much(path.name, done.stderr) from error
    if "what" in answer:
        raise DataError(answer["what"], why=answer["why"], remedy=answer["remedy"])
    pictures = {name: base64.b64decode(data) for name, data in answer.pop("pictures").items()}
    return TablePreview(**{**answer, "columns": tuple(answer["columns"]), "task": Task(answer["task"]),
                           "pictures": pictures})


def _too_much(name: str, words: str) -> DataError:
    last = words.strip().splitlines()[-1][:200] if words.strip() else "it was ended by the system"
    return DataError(f"{name} cannot be looked at.",
                     why=f"The process that read it ended without a result ({last}); it may lack memory.",
                     remedy="Save it as CSV (UTF-8) or Parquet, or import a part of it.")


# -- in the other process ----------------------------------------------------------------------------------------------


def main() -> None:
    """Answer the question on stdin: the preview of a file, or the three parts of an error, as JSON."""
    request = json.loads(sys.stdin.read())
    _limit()
    path = Path(request["path"])
    try:
        answer = _answer(browse.preview(path, settings=Settings(home=Path(os.devnull), **request["limits"])))
    except ThawError as error:
        answer = {"what": error.what, "why": error.why, "remedy": error.remedy}
    except MemoryError:
        answer = {"what": f"{path.name} needs too much memory to look at.",
                  "why": "It unpacks to far more than its size, or has too many cells.",
                  "remedy": "Save only the columns and rows that are needed as CSV (UTF-8) or Parquet, and "
                            "import that file."}
    json.dump(answer, sys.stdout)


def _limit() -> None:
    """Bound the memory and processor time of this process, where the system can."""
    try:
        import resource
    except ImportError:
        return
    for kind, most in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, int(TIMEOUT_S))):
        try:
            resource.setrlimit(kind, (most, most))
        except (OSError, ValueError):
            continue                                                 # some systems know the limit and do not set it


def _answer(found: TablePreview) -> dict[str, Any]:
    plain = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
    pictures = {name: base64.b64encode(data).decode() for name, data in found.pictures.items()}
    return {**plain, "task": str(found.task.value), "pictures": pictures, "columns": list(found.columns)[:MAX_COLUMNS]}


if __name__ == "__main__":
    main()
