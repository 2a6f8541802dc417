"""How many labels do I need? And how many is pretraining worth?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.domain.experiment import Answer, Arm
from core.domain.run import Interval
from core.metrics import Metric, Unit
from core.models import methods as registry
from core.models.methods import Method
from core.planning import arms as looks
from core.planning.designs import charts
from core.planning.designs.base import Choices, Design, Pairs, named
from core.planning.designs.found import Found
from core.plots import experiment as plots
from core.plots import palette
from core.plots.theme import Chart

LEVELS = 5
LEAST_A_CLASS = 4
DRAWS = 1000
FARTHEST = 100.0
"""So many times beyond the most labels that were measured, or short of the fewest, a number is none any more."""


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """error(n) = scale · n^−exponent, a straight line on logarithmic axes (Hestness et al. 2017, arXiv 1712.00409)."""

    scale: float
    exponent: float

    def error(self, n: float) -> float:
        return self.scale * n**-self.exponent

    def labels_for(self, error: float) -> float:
        """Labels at which the error is this; infinite where more labels do not lead there, 0 where none are needed."""
        if error <= 0:
            return math.inf
        if self.exponent <= 0:  # a curve that rises by chance is level
            return math.inf if error < self.scale else 0.0
        return math.exp(min(700.0, math.log(self.scale / error) / self.exponent))


def fit(n: Sequence[float], errors: Sequence[float], spreads: Sequence[float] | None = None) -> PowerLaw:
    """Least squares on logarithms, each point weighed by how well its error is known (`spreads`: standard errors)."""
    x, y = np.log(np.asarray(n, float)), np.log(np.maximum(np.asarray(errors, float), 1e-6))
    known = np.ones_like(x) if spreads is None else np.asarray(errors, float) / np.maximum(spreads, 1e-6)
    weights = np.clip(known, 1e-3, 1e3)
    slope, at_one = np.polyfit(x, y, 1, w=weights)
    if slope >= 0:  # no law of learning: level, as high as the points are on the average
        return PowerLaw(scale=float(np.exp(np.average(y, weights=weights**2))), exponent=0.0)
    return PowerLaw(scale=float(np.exp(at_one)), exponent=float(-slope))


def arms(choices: Choices) -> Sequence[Arm]:
    """A pretrained arm and one from scratch, at each budget."""
    wanted = choices.chosen(registry.WHOLE)
    fresh = [name for name in wanted if not pretrained(registry.get(name))] or [choices.needed(registry.FRESH)]
    asked = choices.budgets or levels(choices.labels, len(choices.dataset.classes))
    budgets = dict.fromkeys(budget if budget and budget < choices.labels else None for budget in asked)
    found = []
    for method in (*(name for name in wanted if pretrained(registry.get(name))), *fresh):
        for budget in budgets:
            labels = budget or choices.labels
            found.append(Arm(name=f"{named(method)}-{budget or 'all'}", x=float(labels),
                             label=f"{choices.called(method)}, {labels:,} labels",
                             recipe=choices.recipe(method, budget=budget)))
    return found


def pretrained(method: Method) -> bool:
    """Whether it starts from the published weights."""
    from core.domain.model import Weights

    return method.card.weights is not Weights.FRESH


def levels(labels: int, classes: int) -> tuple[int | None, ...]:
    """Budgets from a few a class to all, evenly spread on a logarithmic axis."""
    least = max(16, LEAST_A_CLASS * max(1, classes))
    if least * 2 > labels:
        return (None,)
    ratio = (labels / least) ** (1 / (LEVELS - 1))
    return (*(round(least * ratio**step) for step in range(LEVELS - 1)), None)


def pairs(arms: Sequence[Arm]) -> Pairs:
    """At each budget, each pretrained arm against the one from scratch."""
    fresh = {arm.x: arm.name for arm in arms if not pretrained(registry.get(arm.recipe.method))}
    return [(arm.name, fresh[arm.x]) for arm in arms if arm.x in fresh and fresh[arm.x] != arm.name]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Scores of one method over label budgets."""

    method: str
    labels: tuple[float, ...]
    errors: tuple[float, ...]
    spreads: tuple[float, ...]
    """Standard errors."""

    @property
    def law(self) -> PowerLaw:
        return fit(self.labels, self.errors, self.spreads)


def curves(found: Found) -> dict[str, Curve]:
    """Method -> its curve; of metrics that are no shares, the loss itself."""
    by_method: dict[str, list[Arm]] = {}
    for arm in found.arms:
        by_method.setdefault(arm.recipe.method, []).append(arm)
    return {method: _curve(found, method, sorted(own, key=lambda arm: arm.x or 0)) for method, own in by_method.items()}


def _curve(found: Found, method: str, own: Sequence[Arm]) -> Curve:
    scores = [score for arm in own if (score := found.score(arm.name)) is not None]
    return Curve(method=method, labels=tuple(float(arm.x or 0) for arm in own),
                 errors=tuple(_value(found.metric, score.value) for score in scores),
                 spreads=tuple(max(1e-6, (score.high - score.low) / (2 * 1.96)) for score in scores))


def multiplier(tuned: Curve, fresh: Curve, *, seed: int = 0) -> tuple[Interval, float, bool]:
    """(how many times the labels a run from scratch needs to be as good, the labels of the pretrained arm it was
    measured at, whether it lies beyond what was measured).

    Taken at the fewest labels, where a run from scratch is likeliest to catch up. The interval is of the power law
    fitted to errors redrawn within their standard errors.
    """
    rng = np.random.default_rng(seed)
    at, error, spread = tuned.labels[0], tuned.errors[0], tuned.spreads[0]
    least, most = fresh.labels[0] / FARTHEST / at, fresh.labels[-1] * FARTHEST / at

    def needed(law: PowerLaw, wanted: float) -> float:
        return min(max(law.labels_for(wanted) / at, least), most)

    value = needed(fresh.law, error)
    wanted = np.maximum(rng.normal(error, spread, size=DRAWS), 1e-4)
    draws = [needed(law, float(each)) for law, each in zip(_redrawn(fresh, rng), wanted, strict=True)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return (Interval(value=value, low=float(min(low, value)), high=float(max(high, value))), at,
            value * at > fresh.labels[-1])


def doubled(curve: Curve, *, seed: int = 0) -> Interval:
    """The share of its error that twice the labels take off, by its power law; of a level one, nothing."""
    def share(law: PowerLaw) -> float:
        return float(1 - 2**-law.exponent)

    value = share(curve.law)
    low, high = np.percentile([share(law) for law in _redrawn(curve, np.random.default_rng(seed))], [2.5, 97.5])
    return Interval(value=value, low=float(min(low, value)), high=float(max(high, value)))


def _redrawn(curve: Curve, rng: np.random.Generator) -> list[PowerLaw]:
    """The laws of errors redrawn within their standard errors."""
    errors = np.maximum(rng.normal(curve.errors, curve.spreads, size=(DRAWS, len(curve.errors))), 1e-4)
    return [fit(curve.labels, list(row), curve.spreads) for row in errors]


def answer(found: Found) -> Answer:
    """The learning curves in a sentence: the data multiplier, and what twice the labels would buy."""
    drawn = {method: curve for method, curve in curves(found).items() if len(curve.labels) > 1}
    tuned = [curve for method, curve in drawn.items() if pretrained(registry.get(method))]
    fresh = [curve for method, curve in drawn.items() if not pretrained(registry.get(method))]
    if len({arm.x for arm in found.experiment.arms}) < 2:
        return Answer(sentence="One label budget makes no curve: ask with several.")
    if not tuned:
        return Answer(sentence="No pretrained arm has results at two label budgets yet.")
    curve = tuned[0]
    twice = doubled(curve)
    kind = "error" if found.metric.unit is Unit.SHARE else found.metric.label
    range_said = f"95 % interval {100 * twice.low:.0f} to {100 * twice.high:.0f}"
    buys = (f"Twice the labels would take {100 * twice.value:.0f} % ({range_said}) off the {kind} of the pretrained "
            f"arm, if it goes on falling as it did." if twice.low > 0 else
            f"These runs cannot tell whether more labels lower the {kind} of the pretrained arm: twice as many would "
            f"take {100 * twice.value:.0f} % off ({range_said}).")
    laws = {method: {"scale": each.law.scale, "exponent": each.law.exponent, "labels": each.labels,
                     "errors": each.errors} for method, each in drawn.items()}
    if not fresh:
        return Answer(sentence=buys, value=twice.value, low=twice.low, high=twice.high, details={"curves": laws})
    times, at, beyond = multiplier(curve, fresh[0])
    return Answer(sentence=f"{_worth(times, at, fresh[0].labels[-1])}, over {found.seeds_said}. {buys}",
                  value=times.value, low=times.low, high=times.high,
                  details={"curves": laws, "at_labels": at, "beyond_measured": beyond})


def _worth(times: Interval, at: float, most: float) -> str:
    """The data multiplier in words. at: labels of the pretrained arm; most: the most from scratch."""
    if times.low * at > most:
        return (f"Pretraining is worth more than {most / at:,.0f} times the labels: from scratch, all {most:,.0f} do "
                f"not reach what {at:,.0f} do with it")
    beyond = times.value * at > most
    number = (f"more than {FARTHEST * most / at:,.0f}" if times.value * at >= FARTHEST * most else
              f"about {times.value:,.1f}")
    interval = f"95 % interval {times.low:,.1f} to {times.high:,.1f}"
    if times.low <= 1 <= times.high:
        return (f"These runs cannot tell whether pretraining is worth any labels: {number} times as many by the power "
                f"law of the runs from scratch ({interval})")
    if times.high < 1:
        return (f"Pretraining is a hindrance here: {at:,.0f} labels with it are worth {times.value:,.1f} times as many "
                f"from scratch ({interval})")
    return (f"Pretraining is worth {number} times the labels ({interval}): {at:,.0f} with it are as good as "
            f"{times.value * at:,.0f} from scratch" + (", which lies beyond what was measured" if beyond else ""))


def drawn(found: Found) -> list[Chart]:
    """Learning curves with the power laws fitted to them."""
    there = {arm.recipe.method: arm for arm in found.arms}
    said = {method: arm.label.rpartition(", ")[0] for method, arm in there.items()}
    lines = charts.along(x_title="Labels", log=True, line=lambda found, arm: said[arm.recipe.method])(found)
    for method, curve in curves(found).items():
        if lines and len(curve.labels) > 1:
            x = np.geomspace(curve.labels[0], 2 * curve.labels[-1], 40)
            look = palette.arm(looks.index(there[method].recipe))
            y = [_value(found.metric, curve.law.error(n)) for n in x]
            plots.with_curve(lines[0], f"{said[method]}, power law", list(x), y, look)
    return lines


def _value(metric: Metric, error: float) -> float:
    """The value of an error, and the error of a value."""
    return 1 - error if metric.unit is Unit.SHARE and metric.higher_is_better else error


DESIGN = Design(name="labels", question="How many labels do I need?",
                explains="The pretrained model and one from scratch, with ever more labelled rows.",
                paper="Hernandez et al. 2021, arXiv 2102.01293: pretraining multiplies the data there are.",
                arms=arms, answer=answer, takes_budgets=True, pairs=pairs, charts=drawn)
