"""The verdict card of an experiment: of each two arms that are held against each other, which is better, by how much,
at what cost, under shift, with what forgotten, and whether seeds alone change as much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.analysis import forgetting
from core.analysis.forgetting import Word, word
from core.analysis.verdict import apart
from core.domain.experiment import Compared
from core.domain.run import Interval, Result
from core.metrics import Judged, Metric, Unit
from core.metrics import arms as pooled
from core.metrics.words import gap, p_value, signed, would_tell
from core.plots.numbers import count, duration, size

LEVEL = 0.05
NAMED = 3
"""Comparisons that the headline names one by one."""
TITLES = {"target": "Test rows", "shift": "Shift set", "forgetting": "Forgotten", "cost": "Cost",
          "noise": "Seeds alone"}
"""What lines are called."""
Rows = Mapping[str, Mapping[int, Judged]]
"""split -> seed -> the rows of an arm as judged."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the card, of A beside B."""

    subject: str
    """`target`, `shift`, `forgetting`, `cost` or `noise`."""
    word: Word | None
    """Of A; None where something is stated and not judged."""
    sentence: str
    difference: Interval | None = None
    """A minus B; None where there is none to give."""
    p_adjusted: float | None = None

    @property
    def title(self) -> str:
        """What the line is about, for people."""
        return TITLES[self.subject]


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What seeds alone change."""

    value: float | None
    """Two runs of one arm that differ in nothing but the seed lie at most so far apart, nineteen times in twenty, in
    the unit of the metric; None where no arm has two seeds."""
    place: str
    """Where the difference lies: `outside`, `inside`, `not clear`, or `not known`."""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """One arm beside another."""

    a: str
    b: str
    """Names of the arms."""
    title: str
    """`LoRA beside Linear probe`."""
    word: Word
    """Of A on the test rows."""
    noise: Noise
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class Card:
    """All comparisons that a design makes."""

    headline: str
    beside: tuple[Beside, ...]


def of(*, metric: Metric, labels: Mapping[str, str], rows: Mapping[str, Rows],
       results: Mapping[str, Mapping[int, Result]], test: Sequence[Compared], shift: Sequence[Compared],
       shift_made: str = "") -> Card:
    """The card. labels, rows and results: by name of the arm; results by seed. test, shift: the comparisons on the rows
    of these splits, each corrected together. shift_made: what the shift set is called where it was made from the test
    rows."""
    on_shift = {(each.a, each.b): each for each in shift}
    pairs = [(each.a, each.b) for each in test]
    forgot = _forgotten(pairs, labels, results)
    found = []
    for each in test:
        pair = (each.a, each.b)
        noise = noise_of(metric, each.difference, [_values(metric, rows, arm) for arm in pair])
        lines = [_line("target", metric, "test", each, len(test))]
        if pair in on_shift:
            lines.append(_line("shift", metric, "shift", on_shift[pair], len(shift), made=shift_made))
        if pair in forgot:
            lines.append(forgot[pair])
        lines += [_cost(*(list(results.get(arm, {}).values()) for arm in pair)), _noise_line(metric, noise)]
        found.append(Beside(a=each.a, b=each.b, title=f"{labels[each.a]} beside {labels[each.b]}",
                            word=Word(each.verdict), noise=noise, lines=tuple(lines)))
    return Card(headline=_headline(found, labels), beside=tuple(found))


def _headline(found: Sequence[Beside], labels: Mapping[str, str]) -> str:
    """Who is better than whom by name where the comparisons are few, else how many could be told."""
    if not found:
        return ""
    said = {each: sum(beside.word is each for beside in found) for each in Word}
    if said[Word.UNCLEAR] == len(found):
        return ("These runs cannot tell the two arms apart." if len(found) == 1 else
                f"In none of {len(found)} comparisons can these runs tell the arms apart.")
    if len(found) <= NAMED:
        return _named(found, labels)
    told = ", ".join(f"{word} in {said[word]}" for word in (Word.BETTER, Word.WORSE) if said[word])
    rest = f"; {said[Word.UNCLEAR]} cannot be told" if said[Word.UNCLEAR] else ""
    return f"Of {len(found)} comparisons the arm named first is {told}{rest}."


def _named(found: Sequence[Beside], labels: Mapping[str, str]) -> str:
    """`B and C are better than A; B and C cannot be told apart.`"""
    ahead: dict[str, list[str]] = {}
    for each in found:
        if each.word is not Word.UNCLEAR:
            first, second = (each.a, each.b) if each.word is Word.BETTER else (each.b, each.a)
            ahead.setdefault(labels[second], []).append(labels[first])
    said = [f"{' and '.join(better)} {'is' if len(better) == 1 else 'are'} better than {worse}"
            for worse, better in ahead.items()]
    said += [f"{labels[each.a]} and {labels[each.b]} cannot be told apart" for each in found
             if each.word is Word.UNCLEAR]
    return f"{'; '.join(said)}."


# -- better, worse, cannot tell ----------------------------------------------------------------------------------------


def _line(subject: str, metric: Metric, split: str, found: Compared, tests: int, *, made: str = "") -> Line:
    """The difference on the rows of a split."""
    corrected = f", corrected for {tests} comparisons" if tests > 1 else ""
    more = would_tell(found.more_seeds, found.more_rows, rows=f"{split} rows")
    said = f"{split} rows ({made})" if made else f"{split} rows"
    sentence = f"{_difference(metric, found.difference)}, on {said}; p {p_value(found.p_adjusted)}{corrected}."
    return Line(subject=subject, word=Word(found.verdict), difference=found.difference, p_adjusted=found.p_adjusted,
                sentence=f"{sentence} {more}".rstrip())


def _difference(metric: Metric, found: Interval) -> str:
    if found.value == found.low == found.high == 0:
        return f"No difference in {metric.label}: every row is answered alike"
    said = gap(metric, found, with_sign=True)
    return said[:1].upper() + said[1:]


# -- what seeds alone change -------------------------------------------------------------------------------------------


def _values(metric: Metric, rows: Mapping[str, Rows], arm: str) -> list[float]:
    return [metric.value(each) for each in rows.get(arm, {}).get("test", {}).values()]


def noise_of(metric: Metric, difference: Interval, values: Sequence[Sequence[float]]) -> Noise:
    """values: of each of the two arms, the metric on the same rows, one a seed.

    The seeds' variance is pooled over both arms, and its degrees of freedom go into Student's t: a spread that was
    estimated from few seeds is not taken for a known one.
    """
    from scipy import stats

    several = [own for own in values if len(own) > 1]
    free = sum(len(own) - 1 for own in several)
    if not free:
        return Noise(value=None, place="not known")
    variance = sum((len(own) - 1) * float(np.var(own, ddof=1)) for own in several) / free
    floor = float(stats.t.ppf(0.975, free)) * math.sqrt(2 * variance)
    if abs(difference.value) <= floor:
        return Noise(value=floor, place="inside")
    clear = difference.low > floor or difference.high < -floor
    return Noise(value=floor, place="outside" if clear else "not clear")


def _noise_line(metric: Metric, noise: Noise) -> Line:
    if noise.value is None:
        return Line(subject="noise", word=None, sentence="Not known: no arm here has two seeds, so that nothing shows "
                                                         "what another seed alone would change.")
    said = {"outside": "The difference is larger than that.",
            "inside": "The difference lies within that: one run of each arm would not show it.",
            "not clear": "The difference is larger, but its interval reaches down to that."}[noise.place]
    share = metric.unit is Unit.SHARE
    floor = f"{100 * noise.value:.1f} points" if share else f"{noise.value:.3f}"
    if noise.value == 0:
        return Line(subject="noise", word=None, sentence="Another seed changed nothing in these runs.")
    return Line(subject="noise", word=None, sentence=f"Two runs that differ in nothing but the seed lie up to {floor} "
                                                     f"apart. {said}")


# -- forgetting and cost -----------------------------------------------------------------------------------------------


def _forgotten(pairs: Sequence[tuple[str, str]], labels: Mapping[str, str],
               results: Mapping[str, Mapping[int, Result]]) -> dict[tuple[str, str], Line]:
    """Of language models that measured it: whether A forgot more than B. Corrected together, as the scores are."""
    gaps = {pair: found for pair in pairs if (found := _panel_gap(results, pair)) is not None}
    corrected = pooled.holm([_p(found) for found in gaps.values()])
    lines = {}
    for (pair, found), p in zip(gaps.items(), corrected, strict=True):
        floor = max((forgetting.floor_of(result, seeds=list(results[arm].values())).value
                     for arm in pair for result in results[arm].values()), default=0.0)
        said = word(found, floor) if p < LEVEL else Word.UNCLEAR
        changes = ", ".join(f"{labels[arm]} {signed(_panel_mean(results[arm]), 3)}" for arm in pair)
        told = {Word.BETTER: "Forgot less", Word.WORSE: "Forgot more",
                Word.UNCLEAR: "Which forgot more cannot be told"}[said]
        beyond = f"; the noise floor is {floor:.3f}" if floor else ""
        lines[pair] = Line(subject="forgetting", word=said, difference=found, p_adjusted=p,
                           sentence=f"{told}: loss on other texts, {changes} nats a token; difference "
                                    f"{forgetting.signed(found)}{beyond}.")
    return lines


def _panel(found: Mapping[int, Result]) -> dict[int, Interval]:
    return {seed: result.panel_change for seed, result in found.items() if result.panel_change is not None}


def _panel_mean(found: Mapping[int, Result]) -> float:
    return float(np.mean([change.value for change in _panel(found).values()]))


def _panel_gap(results: Mapping[str, Mapping[int, Result]], pair: tuple[str, str]) -> Interval | None:
    """A minus B over the seeds that both have: documents as if those of A and B were independent, which errs on the
    wide side since they are the same, and seeds by Student's t."""
    from scipy import stats

    a, b = (_panel(results.get(arm, {})) for arm in pair)
    seeds = [seed for seed in a if seed in b]
    if not seeds:
        return None
    each = [apart(a[seed], b[seed]) for seed in seeds]
    value = float(np.mean([found.value for found in each]))
    low, high = (float(np.mean([getattr(found, side) - found.value for found in each])) for side in ("low", "high"))
    if len(seeds) > 1:
        over = float(stats.t.ppf(0.975, len(seeds) - 1)) * float(np.std([found.value for found in each], ddof=1))
        over /= math.sqrt(len(seeds))
        low, high = -math.hypot(low, over), math.hypot(high, over)
    return Interval(value=value, low=value + low, high=value + high)


def _p(found: Interval) -> float:
    """Two-sided, of a true difference of 0, from the side of the interval that faces it."""
    from scipy import stats

    half = found.value - found.low if found.value > 0 else found.high - found.value
    if not math.isfinite(half) or found.value == 0:
        return 1.0
    return float(2 * stats.norm.sf(1.96 * abs(found.value) / half)) if half > 0 else 0.0


def _cost(mine: Sequence[Result], theirs: Sequence[Result]) -> Line:
    """Stated, not judged: means over seeds."""
    if not mine or not theirs:
        return Line(subject="cost", word=None, sentence="Not known: a run left no numbers.")

    def said(field: str, form: object, what: str) -> str:
        found = [[getattr(each, field) for each in own if getattr(each, field) is not None] for own in (mine, theirs)]
        a, b = ("not recorded" if not own else form(float(np.mean(own))) for own in found)  # type: ignore[operator]
        return f"{a} against {b} {what}" if any(found) else ""

    parts = [said("seconds", duration, "alone"), said("marginal_seconds", duration, "added to others"),
             said("peak_memory_bytes", size, "of memory"), said("trainable_params", count, "trained parameters")]
    apart_ = {each.device for each in mine} != {each.device for each in theirs}
    return Line(subject="cost", word=None, sentence=f"{', '.join(filter(None, parts))}."
                + (" They ran on different devices: time and memory cannot be compared." if apart_ else ""))
