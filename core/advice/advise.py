"""A recommendation and what it rests on: the user's own runs first, then Thaw's stored results, then papers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.advice import literature, rule
from core.advice.literature import Statement
from core.advice.own import Ranking
from core.advice.results import Setting
from core.advice.rule import Expected
from core.advice.situation import MANY, Situation
from core.metrics import Unit
from core.metrics.words import listed
from core.models.methods import FROZEN, SIXTEEN_BIT, card_of

RIVAL = 0.05
"""So near the best expected one a method is worth trying beside the recommended one."""
MOST_RIVALS = 3
MOST_NAMED = 4
"""Of methods in a sentence."""


class Ground(StrEnum):
    """What a recommendation rests on."""

    OWN = "your own runs"
    STORED = "Thaw's measurements on its bundled sets"
    PAPERS = "papers"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A method as it would be trained here."""

    method: str
    label: str
    seconds: float | None
    """Of one run on this device; None where it was not measured."""
    memory_bytes: int | None
    reason: str | None = None
    """Why it is out of the question; None where it is not."""


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What to train, why, and what else is known."""

    situation: Situation
    method: str
    ground: Ground
    because: str
    """One or two sentences."""
    rivals: tuple[str, ...]
    """Methods that an experiment should hold against it, most promising first."""
    candidates: tuple[Candidate, ...]
    own: Ranking | None
    expected: tuple[Expected, ...]
    """Of Thaw's own results, for methods that are in question; best first."""
    settings: tuple[tuple[Setting, float], ...]
    """The sets behind them with their weights, the most alike first."""
    papers: tuple[Statement, ...]

    def label(self, method: str) -> str:
        return next((each.label for each in self.candidates if each.method == method), card_of(method).label)


def in_question(candidates: Sequence[Candidate], situation: Situation) -> tuple[Candidate, ...]:
    """Candidates with the reason that the situation gives: where many tasks share a base model, it has to stay as it
    is."""
    found = []
    for each in candidates:
        card, reason = card_of(each.method), each.reason
        if reason is None and situation.served == MANY and card.adapter is None and not card.solved:
            reason = "it changes the base model itself, so that every task would need a whole model of its own"
        found.append(dataclasses.replace(each, reason=reason))
    return tuple(found)


def advise(situation: Situation, candidates: Sequence[Candidate], *, own: Ranking | None,
           settings: Sequence[Setting]) -> Advice | None:
    """The recommendation; None where no method is in question."""
    every = in_question(candidates, situation)
    open_ = [each.method for each in every if each.reason is None]
    if not open_:
        return None
    seconds = {each.method: math.inf if each.seconds is None else each.seconds for each in every}
    found = rule.expected(situation, settings, open_)
    papers = literature.about(situation)
    labels = {each.method: each.label for each in every}
    measured = [method for method in own.best if method in open_] if own is not None else []
    favoured = [method for each in papers for method in each.favours if method in open_]
    near = rule.alike(situation, settings)
    if own is not None and measured:
        method, ground = min(measured, key=lambda each: seconds[each]), Ground.OWN
        because = _because_own(own, measured, labels, method)
    elif (chosen := rule.choose(found, seconds)) is not None:
        method, ground, because = chosen, Ground.STORED, _because_stored(found, chosen, labels, near)
    else:
        method = (favoured or [SIXTEEN_BIT if SIXTEEN_BIT in open_ else open_[0]])[0]
        ground, because = Ground.PAPERS, _because_papers(papers, method)
    return Advice(situation=situation, method=method, ground=ground, because=because, candidates=every, own=own,
                  rivals=_rivals(method, found, favoured, open_), expected=tuple(found), settings=tuple(near),
                  papers=tuple(papers))


def _rivals(method: str, found: Sequence[Expected], favoured: Sequence[str], open_: Sequence[str]) -> tuple[str, ...]:
    """Near in Thaw's results, then what papers speak for, then the frozen model, which costs next to nothing."""
    best = max((each.value for each in found), default=0.0)
    near = [each.method for each in found if each.value >= best - RIVAL]
    frozen = [FROZEN] if FROZEN in open_ else []
    return tuple(each for each in dict.fromkeys((*near, *favoured, *frozen, *open_)) if each != method)[:MOST_RIVALS]


def _because_own(own: Ranking, best: Sequence[str], labels: dict[str, str], method: str) -> str:
    first = own.methods[0]
    score = f"{own.metric.label} of {100 * first.score.value:.1f} %" if own.metric.unit is Unit.SHARE else \
        f"{own.metric.label} of {first.score.value:.3f}"
    if len(best) == 1:
        return f"In your runs it was ahead of the others on validation rows, with {score}."
    others = ", ".join(labels.get(each, each) for each in best if each != method)
    return (f"In your runs the best had {score} on validation rows, and these cannot be told from each other: "
            f"{labels.get(method, method)}, {others}. Of them it takes least time.")


def _because_stored(found: Sequence[Expected], method: str, labels: dict[str, str],
                    near: Sequence[tuple[Setting, float]]) -> str:
    rests = rule.telling(near)[:2]
    several = len(rests) > 1
    sets = f"the set{'s' * several} most like yours ({' and '.join(setting.name for setting in rests)})"
    behind = next(each for each in found if each.method == method)
    best = found[0]
    told = f"{abs(100 * behind.value):.1f} points behind the best method"
    first = near[0][0]
    chosen = first.arm(method)
    level = [arm for arm in first.arms if arm.method != method and not arm.worse]
    ahead = [labels.get(arm.method, arm.method) for arm in level if not arm.behind.value]
    names = ahead or [labels.get(arm.method, arm.method) for arm in level]
    tie = (f" On {first.name} the runs cannot tell it from {'the best there, ' * bool(ahead)}{_some(names)}."
           if names and chosen and not chosen.worse else "")
    if best.method == method:
        return f"On {sets} it came out best{' on average' * several}.{tie}"
    return (f"On {sets} it was{' on average' * several} {told}, within a point of "
            f"{labels.get(best.method, best.method)}, and it takes less time.{tie}")


def _some(names: Sequence[str]) -> str:
    """All of a few, and the first of many."""
    if len(names) <= MOST_NAMED:
        return listed(names)
    return listed([*names[:MOST_NAMED - 1], f"{len(names) - MOST_NAMED + 1} other methods"])


def _because_papers(papers: Sequence[Statement], method: str) -> str:
    said = next((each for each in papers if method in each.favours), None)
    if said is None:
        return "Neither your runs nor Thaw's results nor the papers it knows speak for another method here."
    return f"{said.text} ({said.source})"
