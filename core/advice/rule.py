"""How stored results become a recommendation, and how often that is right: arithmetic only.

Expected of a method: the mean of how far it was behind the best method of each measured set, weighted by how alike the
set is (a kernel average, Nadaraya 1964, Watson 1964). Recommended: of the methods expected within a point of the best
expected one, the one that takes least time; the cheapest within noise, as the one-standard-error rule has it (Breiman
et al. 1984).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from core.advice.results import Setting
from core.advice.situation import Situation
from core.models.methods import FROZEN, PLANNED, SIXTEEN_BIT, WHOLE, card_of

TOLERANCE = 0.01
"""One point of accuracy."""
OTHER_CONTENT = 3.0
"""Distance of pictures from texts, in octaves of labels a class: weight 0.05."""
PROBE_STEP = 0.2
"""A probe that is this much better or worse is as far as twice the labels."""
TELLING = 0.1
"""Share of the largest weight from which on a set is named among those that an expectation rests on."""
MEASURED = 0.5
"""Least weight of the sets that a method was measured on: else its expectation would rest on sets unlike these data."""
ALWAYS = (FROZEN, PLANNED, SIXTEEN_BIT, WHOLE)
"""Rules that the advisor is held against: always the same method."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What stored results let one expect of a method, relative to the best one; 0 = the best everywhere."""

    method: str
    value: float
    low: float
    high: float
    """The lowest and highest on the sets that it rests on; no confidence interval."""
    sets: int
    """How many these are."""


def distance(situation: Situation, setting: Setting) -> float:
    """How unlike a measured set is, in octaves of labels a class."""
    other = setting.situation
    found = abs(situation.octave - other.octave)
    found += OTHER_CONTENT * (situation.task.content is not other.task.content)
    if situation.probe is not None and other.probe is not None:
        found += abs(situation.probe - other.probe) / PROBE_STEP
    return found


def alike(situation: Situation, settings: Sequence[Setting]) -> list[tuple[Setting, float]]:
    """Measured sets of tasks with labels (or, where the situation has none, without), with their weights (sum 1), the
    most alike first. Empty where none is of the same content: texts say little of pictures."""
    fitting = [each for each in settings if each.situation.task.labelled == situation.task.labelled]
    if not any(each.situation.task.content is situation.task.content for each in fitting):
        return []
    weights = [math.exp(-distance(situation, each)) for each in fitting]
    total = sum(weights)
    return sorted(((each, weight / total) for each, weight in zip(fitting, weights, strict=True)),
                  key=lambda pair: -pair[1])


def telling(near: Sequence[tuple[Setting, float]]) -> list[Setting]:
    """Of `alike`, the sets that say something: those with a tenth of the largest weight or more."""
    return [setting for setting, weight in near if weight >= TELLING * near[0][1]]


def expected(situation: Situation, settings: Sequence[Setting], methods: Collection[str]) -> list[Expected]:
    """Methods that were measured on sets with at least half of all weight, best first."""
    near = alike(situation, settings)
    found = []
    for method in methods:
        there = [(arm.behind.value, weight) for setting, weight in near if (arm := setting.arm(method)) is not None]
        total = sum(weight for _, weight in there)
        if total < MEASURED:
            continue
        most = max(weight for _, weight in there)
        telling = [value for value, weight in there if weight >= TELLING * most]
        found.append(Expected(method=method, value=sum(value * weight for value, weight in there) / total,
                              low=min(telling), high=max(telling), sets=len(telling)))
    return sorted(found, key=lambda each: -each.value)


def choose(found: Sequence[Expected], seconds: Mapping[str, float]) -> str | None:
    """The quickest of those within a point of the best; None where nothing is expected of any."""
    if not found:
        return None
    best = max(each.value for each in found)
    near = [each.method for each in found if each.value >= best - TOLERANCE]
    return min(near, key=lambda method: seconds.get(method, math.inf))


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A rule on a set that it had not seen."""

    rule: str
    dataset: str
    method: str
    right: bool
    """Whether the test cannot tell its choice from the best method of that set."""
    behind: float
    """Of the choice, behind the best method."""


ADVISOR = "the advisor"


def leave_one_out(settings: Sequence[Setting]) -> list[Tried]:
    """The advisor on each set, knowing only the others, beside rules that always name the same method; empty with fewer
    than two sets."""
    found: list[Tried] = []
    if len(settings) < 2:
        return found
    for setting in settings:
        rest = [other for other in settings if other.dataset != setting.dataset]
        methods = [arm.method for arm in setting.arms]
        seconds = {arm.method: arm.seconds for arm in setting.arms}
        advised = choose(expected(setting.situation, rest, methods), seconds)
        rules = {ADVISOR: advised} | {f"always {card_of(method).label}": method for method in ALWAYS}
        for rule, method in rules.items():
            arm = setting.arm(method) if method is not None else None
            if arm is not None:
                found.append(Tried(rule=rule, dataset=setting.dataset, method=arm.method, right=not arm.worse,
                                   behind=arm.behind.value))
    return found


def summary(tried: Sequence[Tried]) -> list[str]:
    """A line a rule: on how many sets it was within noise of the best, and how far behind it on average."""
    lines = []
    for rule in dict.fromkeys(each.rule for each in tried):
        of = [each for each in tried if each.rule == rule]
        behind = abs(100 * sum(each.behind for each in of)) / len(of)
        lines.append(f"{rule}: within noise of the best on {sum(each.right for each in of)} of {len(of)} sets, on "
                     f"average {behind:.1f} points behind it")
    return lines
