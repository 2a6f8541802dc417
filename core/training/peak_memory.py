"""Memory of a run: what it adds to what the process held before the model was loaded, now, at the peak, and at the peak
of each phase.

The plan before the start estimates the same: weights, gradients, optimiser, activations, without the libraries.
"""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import torch

from core.domain.run import Observer, Phase
from core.models import held

INTERVAL_S = 0.05
CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
RESET_MARK = "5"
"""Written to `CLEAR`, it sets the largest resident size in `STATUS` to the one of now."""


def give_back() -> None:
    """Hand what is freed to the system and to the other processes on a GPU, so that what follows is measured from
    there."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    held.give_back()


class PeakMemory:
    """Context manager; `bytes` is the peak: device memory on CUDA, resident memory on a CPU (the system's own record on
    Linux, samples elsewhere). Before the first `enter` it counts to the phase `began`."""

    def __init__(self, device: str, began: str = "preparing") -> None:
        self.device = device
        self.by_phase: dict[str, int] = {}
        """Phase -> bytes at its peak, of the phases that are over."""
        self._phase = began
        self._process = psutil.Process()
        self._done = threading.Event()
        self._start = self._peak = 0
        self._exact = False
        self._thread: threading.Thread | None = None

    @property
    def bytes(self) -> int:
        return max([*self.by_phase.values(), self._reached()])

    @property
    def now(self) -> int:
        """Bytes that the run adds at this moment."""
        if self.device == "cuda":
            return int(torch.cuda.memory_allocated())
        return max(0, self._sample() - self._start)

    def enter(self, phase: str) -> None:
        """What follows counts to that phase, which does not begin with what the C library kept of the one before."""
        self._close(give_back=self.device != "cuda")
        self._phase = phase

    def __enter__(self) -> PeakMemory:
        give_back()  # networks that are only waiting to be let go of are not this run's
        self._start = self._process.memory_info().rss
        self._exact = self.device != "cuda" and _forget_record()
        self._restart()
        if self.device != "cuda" and not self._exact:
            self._thread = threading.Thread(target=self._watch, daemon=True, name="peak-memory")
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._close()
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _close(self, give_back: bool = False) -> None:
        self.by_phase[self._phase] = max(self.by_phase.get(self._phase, 0), self._reached())
        if give_back:
            held.give_back()
        self._restart()

    def _reached(self) -> int:
        """Bytes at the peak of the phase that it is in."""
        if self.device == "cuda":
            return int(torch.cuda.max_memory_allocated())
        return max(0, max(self._peak, _record() if self._exact else 0) - self._start)

    def _restart(self) -> None:
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            return
        if self._exact:
            _forget_record()
        self._peak = self._process.memory_info().rss

    def _sample(self) -> int:
        held = int(self._process.memory_info().rss)
        self._peak = max(self._peak, held)
        return held

    def _watch(self) -> None:
        while not self._done.wait(INTERVAL_S):
            self._sample()


def _forget_record() -> bool:
    """Let the system record the process's largest resident size from here; False where it does not do that."""
    try:
        CLEAR.write_text(RESET_MARK)
        return _record() > 0
    except (OSError, ValueError):
        return False


def _record() -> int:
    """Bytes of this process's largest resident size, as Linux records it. Raises ValueError where there is none."""
    for line in STATUS.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    raise ValueError("no record of the largest resident size")


class Metered:
    """An observer that is told with every step what memory the run adds, and tells the meter what it is at."""

    def __init__(self, observer: Observer, memory: PeakMemory) -> None:
        self._observer, self._memory = observer, memory

    def phase(self, phase: Phase) -> None:
        self._memory.enter(str(phase))
        self._observer.phase(phase)

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        self._observer.progress(done, total, unit, note)

    def step(self, **data: Any) -> None:
        self._observer.step(**data, memory_bytes=self._memory.now)

    def evaluation(self, **data: Any) -> None:
        self._observer.evaluation(**data)

    def note(self, text: str) -> None:
        self._observer.note(text)

    def should_stop(self) -> bool:
        return self._observer.should_stop()
