"""A run held with its dials and its rows, so that a setting between those that were measured is measured at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from core.domain.run import Phase
from core.serving.question import Answer, Setting, State, Turnable
from core.settings import Settings
from core.training import strength_curve
from core.training.strength_curve import Asked


@dataclass
class _Notes:
    """An observer that keeps notes."""

    notes: list[str] = field(default_factory=list)

    def phase(self, phase: Phase) -> None: ...
    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None: ...
    def step(self, **data: object) -> None: ...
    def evaluation(self, **data: object) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)

    def should_stop(self) -> bool:
        return False


class Held:
    """The model with its dials; what enters the first turned block is computed, and what the model as trained says."""

    def __init__(self, side: Turnable, settings: Settings) -> None:
        """Raises what `strength_curve.measure` raises."""
        self.side, observer = side, _Notes()
        self.bench = strength_curve.bench_of(Asked(run_dir=side.folder, blocks=side.blocks), settings=settings,
                                             workspace=side.workspace, observer=observer)
        self.tuned, self.notes = self.bench.as_trained(), tuple(observer.notes)

    @property
    def size_bytes(self) -> int:
        network = self.bench.dials.network
        weights = sum(tensor.numel() * tensor.element_size() for tensor in (*network.parameters(), *network.buffers()))
        return 3 * weights + self.bench.kept_bytes  # as it is, as it was, as it was trained

    def measure(self, setting: Setting) -> Iterator[Answer]:
        """Measure the setting and add it to what the run's folder holds."""
        asked = Asked(run_dir=self.side.folder, dial=setting.dial, blocks=self.side.blocks, head=setting.head,
                      values=(setting.value,))
        began = time.monotonic()
        point = self.bench.point(asked, setting.value, self.tuned)
        strength_curve.keep(asked, self.bench, [point], self.tuned, time.monotonic() - began)
        yield Answer(state=State.DONE, precision=self.bench.inputs.precision, notes=self.notes)
