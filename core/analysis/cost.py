"""What a run cost: stated of a run alone, judged only beside another one.

Time and memory are judged, as both are measured; from single runs only by large factors, since less may be the machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.analysis.forgetting import Word, word
from core.domain.run import Interval, Result
from core.plots.numbers import count, duration, size

TIME_FACTOR, MEMORY_FACTOR = 1.5, 1.2
"""Of single runs; with several seeds on both sides the interval decides."""


def stated(result: Result) -> str:
    """`15 min 10 s, 1.76 GB of memory, 4.88 M trained parameters, 19.6 MB to keep.`"""
    trained = (f"{count(result.trainable_params)} trained parameters, {size(result.artifact_bytes)} to keep"
               if result.trainable_params else "nothing trained")
    return f"{duration(result.seconds)}, {size(result.peak_memory_bytes)} of memory at the peak, {trained}."


def judged(mine: Sequence[Result], theirs: Sequence[Result], *, against: str) -> tuple[Word, str, Interval | None]:
    """A run beside another, each the first of the seeds of its arm: the word, what it rests on, and the difference in
    seconds; None where they ran on different devices. Where time and memory disagree the word is *cannot tell*."""
    one, other = mine[0], theirs[0]
    kept = (f"{count(other.trainable_params)} → {count(one.trainable_params)} trained parameters, "
            f"{size(other.artifact_bytes)} → {size(one.artifact_bytes)} to keep")
    if one.device != other.device:
        return Word.UNCLEAR, f"Ran on another device than {against}: time and memory cannot be compared; {kept}.", None
    seconds, memory = ([[float(getattr(run, name)) for run in runs] for runs in (mine, theirs)]
                       for name in ("seconds", "peak_memory_bytes"))
    time, difference = _weighed(*seconds, factor=TIME_FACTOR)
    space, _ = _weighed(*memory, factor=MEMORY_FACTOR)
    clear = {time, space} - {Word.UNCLEAR}
    verdict = clear.pop() if len(clear) == 1 else Word.UNCLEAR
    said = {Word.BETTER: f"Costs less than {against}", Word.WORSE: f"Costs more than {against}",
            Word.UNCLEAR: f"Cannot be told from {against} in cost"}[verdict]
    if clear:
        said = f"Costs {'less' if time is Word.BETTER else 'more'} time, but " \
               f"{'less' if space is Word.BETTER else 'more'} memory than {against}"
    before, after = (duration(float(np.mean(values))) for values in reversed(seconds))
    less, more = (size(float(np.mean(values))) for values in reversed(memory))
    numbers = f"{before} → {after}, {less} → {more} of memory, {kept}"
    how = (f"over {len(mine)} and {len(theirs)} seeds" if min(len(mine), len(theirs)) > 1 else
           f"of single runs, only a factor of {TIME_FACTOR} in time or {MEMORY_FACTOR} in memory counts")
    return verdict, f"{said}: {numbers}; {how}.", difference


def _weighed(mine: Sequence[float], theirs: Sequence[float], *, factor: float) -> tuple[Word, Interval]:
    """Less is better; the difference of the means."""
    own, other = float(np.mean(mine)), float(np.mean(theirs))
    if min(len(mine), len(theirs)) > 1:
        difference = _welch(mine, theirs)
        return word(difference), difference
    difference = Interval(value=own - other, low=own - other, high=own - other)
    if own >= factor * other:
        return Word.WORSE if own > other else Word.UNCLEAR, difference
    return Word.BETTER if factor * own <= other else Word.UNCLEAR, difference


def _welch(a: Sequence[float], b: Sequence[float]) -> Interval:
    """The difference of two means with Welch's 95 % interval."""
    from scipy import stats

    gap = float(np.mean(a) - np.mean(b))
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        return Interval(value=gap, low=gap, high=gap)
    found = stats.ttest_ind(a, b, equal_var=False)
    bounds = found.confidence_interval(0.95)
    return Interval(value=gap, low=float(bounds.low), high=float(bounds.high))
