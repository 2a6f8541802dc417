"""How the command line speaks: tables for people on stdout, progress on stderr, one JSON document for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

from core import metrics
from core.domain import codec
from core.domain.run import Failure, Interval, Result
from core.errors import ThawError
from core.metrics import Metric, Unit


def document(value: Any) -> None:
    """Print one JSON document on stdout."""
    print(json.dumps(codec.to_json(value), indent=2, ensure_ascii=False, default=str))


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Aligned columns with a rule under the head; numbers to the right."""
    cells = [[str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *cells]) for i in range(len(head))]
    right = [bool(cells) and all(row[i][:1].isdigit() or row[i] in ("", "-") for row in cells)
             for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)).rstrip()

    return "\n".join([line(list(head)), line(["-" * w for w in widths]), *(line(row) for row in cells)])


def error(problem: ThawError | Failure, *, as_json: bool = False) -> None:
    """The three parts of an error: on stderr for people; with as_json also as the JSON document."""
    if as_json:
        kind = problem.kind.value
        document({"error": {"kind": kind, "what": problem.what, "why": problem.why, "remedy": problem.remedy}})
    say(f"Error: {problem.what}")
    if problem.why:
        say(f"  Why: {problem.why}")
    if problem.remedy:
        say(f"  What to do: {problem.remedy}")


def say(text: str) -> None:
    """One line on stderr: progress and notes never mix with the result."""
    print(text, file=sys.stderr, flush=True)


def quiet_libraries() -> None:
    """Keep the notes and progress bars of transformers and its kin off the terminal. Call before they are imported."""
    import logging as standard
    import os
    import warnings

    os.environ.update(TRANSFORMERS_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1", TOKENIZERS_PARALLELISM="false")
    warnings.filterwarnings("ignore")
    standard.getLogger("bitsandbytes").setLevel(standard.ERROR)
    from transformers.utils import logging

    logging.disable_progress_bar()


def number(metric: Metric, interval: Interval | None) -> str:
    """`96.2 % [94.1, 97.9]` for a share, `24.31 [23.08, 25.60]` for other numbers, `-` for none."""
    if interval is None:
        return "-"
    factor, digits, unit = (100, 1, " %") if metric.unit is Unit.SHARE else (1, 2, "")
    value, low, high = (f"{factor * each:.{digits}f}" for each in (interval.value, interval.low, interval.high))
    return f"{value}{unit} [{low}, {high}]"


def test_score(result: Result) -> str:
    """`test accuracy 96.2 % [94.1, 97.9]`, by the metric that decides; or that there is none."""
    scores = result.metrics.get("test", {})
    metric = metrics.primary(scores)
    return f"{metric.on('test')} {number(metric, scores[metric.name])}" if metric else "no test score (no test row)"


def size(size_bytes: float) -> str:
    """Bytes in the unit a person reads: `1.6 GB`, `83.5 MB`, `12 kB`."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:.1f} {unit}"
    return f"{size_bytes:.0f} B"


class ProgressLine:
    """One line on a terminal, rewritten in place; in a log at most one line every few seconds and one a phase."""

    def __init__(self, prefix: str, *, stream: TextIO | None = None, every_s: float = 10.0) -> None:
        self.prefix = prefix
        self.stream = stream or sys.stderr
        self.every_s = every_s
        self._live = self.stream.isatty()
        self._last = 0.0
        self._width = 0

    def show(self, text: str, *, now: bool = False) -> None:
        """Show the newest state. now: also in a log, at once."""
        line = f"{self.prefix} {text}"
        moment = time.monotonic()
        if self._live:
            self.stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        elif now or moment - self._last >= self.every_s:
            self.stream.write(line + "\n")
            self._last = moment
        self.stream.flush()

    def done(self, text: str) -> None:
        """The last word of this line."""
        self.show(text, now=True)
        if self._live:
            self.stream.write("\n")
            self.stream.flush()

    def bytes(self, done: int, total: int | None) -> None:
        """A download's progress."""
        self.show(f"{size(done)} of {size(total)}" if total else size(done))

    def amount(self, stage: str, done: int, total: int | None) -> None:
        """The progress of reading and checking; see `core.data.meter`."""
        self.show(f"{stage} {done:,}" + (f" of {total:,}" if total else ""))
