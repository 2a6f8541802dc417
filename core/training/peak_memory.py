"""Memory of a run: what it adds to what the process held before the model was loaded, now and at the peak.

The plan before the start estimates the same: weights, gradients, optimiser, activations, without the libraries.
"""

from __future__ import annotations

import gc
import threading
from types import TracebackType
from typing import Any

import psutil
import torch

from core.domain.run import Observer, Phase
from core.models import held

INTERVAL_S = 0.05


def give_back() -> None:
    """Hand what is freed to the system and to the other processes on a GPU, so that what follows is measured from
    there."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    held.give_back()


class PeakMemory:
    """Context manager; `bytes` is the peak: device memory on CUDA, resident memory (sampled) on a CPU."""

    def __init__(self, device: str) -> None:
        self.device = device
        self._process = psutil.Process()
        self._done = threading.Event()
        self._start = self._peak = 0
        self._thread = threading.Thread(target=self._sample, daemon=True, name="peak-memory")

    @property
    def bytes(self) -> int:
        if self.device == "cuda":
            return int(torch.cuda.max_memory_allocated())
        return max(0, self._peak - self._start)

    @property
    def now(self) -> int:
        """Bytes that the run adds at this moment."""
        if self.device == "cuda":
            return int(torch.cuda.memory_allocated())
        held = int(self._process.memory_info().rss)
        self._peak = max(self._peak, held)
        return max(0, held - self._start)

    def __enter__(self) -> PeakMemory:
        give_back()  # networks that are only waiting to be let go of are not this run's
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        self._start = self._peak = self._process.memory_info().rss
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(INTERVAL_S):
            self._peak = max(self._peak, self._process.memory_info().rss)


class Metered:
    """An observer that is told with every step what memory the run adds."""

    def __init__(self, observer: Observer, memory: PeakMemory) -> None:
        self._observer, self._memory = observer, memory

    def phase(self, phase: Phase) -> None:
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
