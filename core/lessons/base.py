"""What a lesson is: a question to predict, the experiment that measures it, and what a paper says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.domain.run import Interval
from core.errors import DataError
from core.metrics import arms as pooled
from core.planning.designs.found import LEVEL, Found

AGREES, DISAGREES, CANNOT_TELL = "agrees", "disagrees", "cannot tell"
BETTER, ALIKE = "better", "alike"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a paper lets one expect of two arms."""

    a: str
    b: str
    """Names of arms of the lesson's experiment."""
    relation: str = BETTER
    """Of A: `better` than B, or `alike`."""
    split: str = "test"


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One lesson: text, experiment, what to predict and what to look for."""

    name: str
    """In addresses and on the command line."""
    title: str
    asks: str
    """What the learner predicts, as a question."""
    text: str
    """What one has to know before predicting: two or three short paragraphs of Markdown."""
    claim: str
    """What the paper says, with its numbers."""
    source: str
    """Authors, year, where to find it."""
    look_for: tuple[str, ...]
    """What to look at once it is measured."""
    expects: tuple[Expected, ...]
    """The claim as far as it is about these arms."""
    design: str
    """Registry name in `core.planning.designs`."""
    dataset: str
    model: str
    """Bundled ones."""
    choices: Mapping[str, Any]
    """`methods`, `budgets`, `rates` and `depths` of `core.api.questions.Questions.plan`."""
    metric: str
    """What is predicted: the one that decides for such rows."""
    seeds: int = 1
    """Of one learner; a room pools them."""
    features: bool = True
    """Whether its runs make and compare their features at once, which takes a quarter of the time; else when that is
    asked for on the page Features."""
    split: str = "test"
    """Whose rows are predicted about."""
    range: tuple[float, float] = (0.0, 1.0)
    """Of a prediction."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """One expectation beside what was measured."""

    a: str
    b: str
    """Labels of the arms."""
    relation: str
    split: str
    difference: Interval
    """A minus B, in the metric."""
    verdict: str
    """`agrees`, `disagrees` or `cannot tell`."""


def held(lesson: Lesson, found: Found) -> list[Held]:
    """The paper's claim beside these runs: expectations whose arms have results. p-values are corrected together
    (Holm), so that under the null at most one lesson in twenty says that it disagrees."""
    there, tests = [], []
    for each in lesson.expects:
        try:
            tests.append(found.difference(each.a, each.b, each.split))
        except (DataError, StopIteration):
            continue
        there.append(each)
    corrected = pooled.holm([test.p_value for test in tests])
    return [Held(a=found.label(each.a), b=found.label(each.b), relation=each.relation, split=each.split,
                 difference=test.interval, verdict=_verdict(each.relation, found.metric.sign * test.interval.value,
                                                            p < LEVEL))
            for each, test, p in zip(there, tests, corrected, strict=True)]


def _verdict(relation: str, gain: float, told: bool) -> str:
    """Alike is what a test never proves: what it cannot tell apart is not against it."""
    if not told:
        return CANNOT_TELL
    return AGREES if relation == BETTER and gain > 0 else DISAGREES


def sentence(found: list[Held]) -> str:
    """What this miniature says of the claim, honestly."""
    against = [each for each in found if each.verdict == DISAGREES]
    for_it = [each for each in found if each.verdict == AGREES]
    alike = [each for each in found if each.relation == ALIKE and each.verdict == CANNOT_TELL]
    if not found:
        return "The arms that the claim is about have no results yet."
    if against:
        first = against[0]
        said = "the two differ" if first.relation == ALIKE else f"{first.b} is ahead of {first.a}"
        return f"This miniature disagrees with the paper: {said} on {first.split} rows, beyond chance."
    if len(for_it) + len(alike) == len(found):
        return ("This miniature agrees with the paper." if for_it else
                "Nothing in this miniature speaks against the paper: no difference that these runs could tell from "
                "chance.")
    if for_it:
        return "This miniature agrees with the paper in part; for the rest these runs cannot tell."
    return "These runs cannot tell: the differences are within what seeds and rows do by chance."


@dataclass(frozen=True, kw_only=True)
class Guess:
    """How near a prediction came."""

    distance: float
    """Mean distance to what was measured, in the metric."""
    inside: int
    """Arms whose prediction lies within the 95 % interval."""
    arms: int
    ordered: int
    """Pairs of arms whose order was predicted as measured."""
    pairs: int
    """Pairs of arms whose intervals do not overlap."""


def score(predicted: Mapping[str, float], measured: Mapping[str, Interval]) -> Guess | None:
    """A prediction (arm -> value) beside what was measured; None where no arm has both. Only pairs whose intervals lie
    apart count for the order: of the others nobody knows it."""
    arms = [arm for arm in predicted if arm in measured]
    if not arms:
        return None
    apart = [(a, b) for i, a in enumerate(arms) for b in arms[i + 1:]
             if measured[a].high < measured[b].low or measured[b].high < measured[a].low]
    ordered = sum((predicted[a] - predicted[b]) * (measured[a].value - measured[b].value) > 0 for a, b in apart)
    return Guess(distance=sum(abs(predicted[arm] - measured[arm].value) for arm in arms) / len(arms), arms=len(arms),
                 inside=sum(measured[arm].low <= predicted[arm] <= measured[arm].high for arm in arms),
                 ordered=ordered, pairs=len(apart))
