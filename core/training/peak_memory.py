"""Peak memory of a run, above what the process held before the model was loaded."""

from __future__ import annotations

import threading
from types import TracebackType

import psutil
import torch

INTERVAL_S = 0.05


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

    def __enter__(self) -> PeakMemory:
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
