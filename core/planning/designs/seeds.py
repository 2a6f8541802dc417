"""What did seeds alone change?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.domain.experiment import Answer, Arm
from core.metrics import Unit
from core.models.methods import SIXTEEN_BIT
from core.planning import arms as looks
from core.planning.designs.base import Choices, Design, Pairs, named
from core.planning.designs.found import Found
from core.plots import experiment as plots
from core.plots import palette
from core.plots.theme import Chart


def arms(choices: Choices) -> Sequence[Arm]:
    """One arm a method, nothing else changed."""
    return [Arm(name=named(method), label=choices.called(method), recipe=choices.recipe(method))
            for method in choices.chosen(SIXTEEN_BIT)]


def no_pairs(arms: Sequence[Arm]) -> Pairs:
    """Nothing is held against anything."""
    return []


def answer(found: Found) -> Answer:
    """The standard deviation over seeds of the first arm, with its 95 % interval (chi-square)."""
    from scipy import stats

    there = [arm for arm in found.arms if len(found.rows[arm.name]["test"]) > 1]
    if not there:
        return Answer(sentence="It takes at least two finished seeds to see what they change.")
    sentences, first = [], None
    for arm in there:
        values = [found.metric.value(each) for each in found.rows[arm.name]["test"].values()]
        count, middle = len(values), sum(values) / len(values)
        squares = sum((value - middle)**2 for value in values)
        spread = math.sqrt(squares / (count - 1))
        low, high = (math.sqrt(squares / stats.chi2.ppf(q, count - 1)) for q in (0.975, 0.025))
        first = first or (spread, low, high)
        factor, digits, unit = (100, 2, " points") if found.metric.unit is Unit.SHARE else (1, 4, "")
        sentences.append(
            f"{arm.label}: over {count} seeds the test {found.metric.label} on the same rows ran from "
            f"{found.number(min(values))} to {found.number(max(values))}; its standard deviation is "
            f"{factor * spread:.{digits}f}{unit} (95 % interval {factor * low:.{digits}f} to "
            f"{factor * high:.{digits}f}).")
    assert first is not None
    return Answer(sentence=" ".join(sentences), value=first[0], low=first[1], high=first[2])


def drawn(found: Found) -> list[Chart]:
    """A dot a seed."""
    values = {arm.label: [found.metric.value(each) for _, each in sorted(found.rows[arm.name]["test"].items())]
              for arm in found.arms}
    if not values:
        return []
    return [plots.seeds(values, {arm.label: palette.arm(looks.index(arm.recipe)) for arm in found.arms},
                        metric=found.metric, split="test", title=f"{found.metric.heading('test')} of each seed, on the "
                                                                 "same rows")]


DESIGN = Design(name="seeds", question="What did seeds alone change?",
                explains="One recipe, repeated with nothing changed but the seed.",
                paper="Dodge et al. 2020, arXiv 2002.06305: seeds alone move small fine-tuning runs by points.",
                arms=arms, answer=answer, pairs=no_pairs, seeds=5, charts=drawn)
