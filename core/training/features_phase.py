"""The last phase of a run: its features are made and compared, so that the Features page opens on what is ready.

The run has its result already. Whatever goes wrong here becomes a note; the result stays, and a person can ask for the
features again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import logging
import time
from pathlib import Path

from core import values
from core.domain.run import Observer, Phase, Result
from core.errors import ThawError
from core.settings import Settings
from core.training import artifact
from core.unforeseen import is_fault

log = logging.getLogger("thaw.training")


def finished(run_dir: Path) -> Result | None:
    """The result of a run whose recipe was executed to its end, and which may have been cut off in this phase."""
    try:
        result = values.read(run_dir / "result.json", Result)
    except ThawError:  # damaged, or of a later version: the recipe is executed again
        return None
    return result if result is not None and result.complete else None


def after(result: Result, run_dir: Path, *, settings: Settings, workspace: str, observer: Observer) -> Result:
    """Make the run's features; the result with the seconds that this took. A run that was stopped is left as it is,
    and every run where the settings say so."""
    from core.training.extract import measure

    if not settings.features or not result.complete or observer.should_stop():
        return result
    observer.phase(Phase.FEATURES)
    began = time.monotonic()
    gc.collect()  # the network that was trained: one at a time is held in memory
    try:
        measure(run_dir, settings=settings, workspace=workspace, observer=_Within(observer))
    except _StopAskedError:
        observer.note("The features were not made: the run was stopped after its result was known. A button on the "
                      "Features page makes them.")
    except BaseException as error:
        if not is_fault(error):
            raise
        log.exception("The features of %s were not made", run_dir.name)
        why = error.what if isinstance(error, ThawError) else type(error).__name__
        observer.note(f"The features were not made ({why.rstrip('.')}). The result stands; a button on the Features "
                      "page tries again.")
    seconds = result.phase_seconds | {str(Phase.FEATURES): time.monotonic() - began}
    result = dataclasses.replace(result, phase_seconds=seconds)
    with contextlib.suppress(OSError):  # on a full disk the result without these seconds stays
        artifact.write_json(run_dir / "result.json", result)
    return result


class _StopAskedError(Exception):
    """A person asked the run to stop while its features were made."""


class _Within:
    """What making features reports, within the one phase of a run; it ends early when the run is to stop."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def phase(self, phase: Phase) -> None:
        """The run stays in its own phase."""

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        if self._observer.should_stop():
            raise _StopAskedError
        self._observer.progress(done, total, unit, note)

    def step(self, **data: object) -> None:
        """There are none."""

    def evaluation(self, **data: object) -> None:
        """There is none."""

    def note(self, text: str) -> None:
        self._observer.note(text)

    def should_stop(self) -> bool:
        return self._observer.should_stop()
