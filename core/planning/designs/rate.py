"""Which learning rate?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.domain.experiment import USUAL_RATE, Answer, Arm
from core.errors import RecipeError
from core.models import methods as registry
from core.planning.designs import charts
from core.planning.designs.base import Choices, Design, Pairs, named, with_rate
from core.planning.designs.found import Found

FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Half a decade apart, around the method's own rate."""


def arms(choices: Choices) -> Sequence[Arm]:
    """Each method at a grid of rates around its own. Raises RecipeError where none of them has a rate."""
    asked, found = choices.chosen(registry.SIXTEEN_BIT, registry.WHOLE), []
    trained = [method for method in asked if not registry.card_of(method).solved]
    if not trained:
        raise RecipeError(f"{choices.called(asked[0])} has no learning rate.",
                          why="It is solved in one go, not trained step by step.",
                          remedy="Choose a method that trains, or another question.")
    for method in trained:
        usual = choices.recipe(method)
        for factor in sorted({USUAL_RATE, *(choices.rates or FACTORS)}):
            recipe = with_rate(usual, factor)
            found.append(Arm(name=f"{named(method)}-rate{factor:g}", recipe=recipe, x=recipe.learning_rate,
                             label=f"{choices.called(method)} at {recipe.learning_rate:.1g}"))
    return found


def pairs(arms: Sequence[Arm]) -> Pairs:
    """Each rate against its method's usual one."""
    usual = {arm.recipe.method: arm.name for arm in arms if arm.name.endswith("-rate1")}
    return [(arm.name, usual[arm.recipe.method]) for arm in arms if arm.name != usual[arm.recipe.method]]


def line(found: Found, arm: Arm) -> str:
    """The line of an arm in the chart: its method."""
    return arm.label.rpartition(" at ")[0]


def chosen(found: Found) -> list[str]:
    """Of each method, the arm that validation rows find best."""
    return [best.name for best in _best(found).values()]


def _best(found: Found) -> dict[str, Arm]:
    """Method -> the arm with the best validation score; of equal ones the nearest to the usual rate."""
    usual = {arm.recipe.method: arm.x or 1.0 for arm in found.experiment.arms if arm.name.endswith("-rate1")}
    best: dict[str, Arm] = {}
    there = sorted(found.ranked("validation"), key=lambda arm: abs(math.log((arm.x or 1.0) / usual[arm.recipe.method])))
    for arm in sorted(there, key=lambda arm: -found.merit(arm.name, "validation")):
        best.setdefault(arm.recipe.method, arm)
    return best


def answer(found: Found) -> Answer:
    """What validation rows choose, and what that is worth on test rows beside the usual rate."""
    sentences, first = [], None
    details: dict[str, object] = {}
    for method in dict.fromkeys(arm.recipe.method for arm in found.arms):
        own = [arm for arm in found.ranked("validation") if arm.recipe.method == method]
        usual = next((arm for arm in own if arm.name.endswith("-rate1")), None)
        if usual is None or len(own) < 2:
            continue
        best = _best(found)[method]
        details[method] = {"chosen": best.x, "usual": usual.x,
                           "validation": {f"{arm.x:g}": found.value(arm.name, "validation") for arm in own}}
        edge = best.x in (min(arm.x or 0 for arm in own), max(arm.x or 0 for arm in own))
        said = f"{usual.label.rpartition(' at ')[0]}: "
        if best is usual:
            as_good = sum(found.merit(arm.name, "validation") == found.merit(best.name, "validation") for arm in own)
            said += (f"validation rows choose the usual rate, {usual.x:.1g}." if as_good == 1 else
                     f"the usual rate, {usual.x:.1g}, stays: validation rows score {as_good} of the {len(own)} rates "
                     f"alike.")
        else:
            test = found.between(best.name, usual.name)
            first = first or test.difference
            gain = (f"which these runs cannot tell from the usual {usual.x:.1g} on test rows: "
                    if test.verdict == "cannot tell" else
                    f"which is {test.verdict} than the usual {usual.x:.1g} on test rows by ")
            said += (f"validation rows choose {best.x:.1g}, {gain}"
                     f"{found.gap(test.difference, signed=test.verdict == 'cannot tell')}.")
        sentences.append(said + (" That is the end of the grid: a rate beyond may be better still." if edge else ""))
    if not sentences:
        return Answer(sentence="No method has results at two rates yet, or there are no validation rows to choose by.")
    zero = (first.value, first.low, first.high) if first else (0.0, None, None)
    return Answer(sentence=f"{' '.join(sentences)} ({found.seeds_said})", value=zero[0], low=zero[1], high=zero[2],
                  details=details)


DESIGN = Design(name="rate", question="Which learning rate?",
                explains="Each method at rates from a tenth to ten times its usual one; validation rows choose.",
                paper="Mosbach et al. 2021, arXiv 2006.04884: unstable fine-tuning is mostly a matter of the rate.",
                arms=arms, answer=answer, pairs=pairs, sweeps_rates=True,
                charts=charts.along(x_title="Learning rate", log=True, line=line, chosen=chosen,
                                    splits=("test", "validation")))
