"""Which method?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.domain.experiment import Answer, Arm
from core.metrics.words import listed
from core.models.methods import COMPARED, COMPARED_OWN_HEAD
from core.planning.designs.base import Choices, Design, Pairs, every_pair, named
from core.planning.designs.found import Found

THESE = "These runs"


def arms(choices: Choices) -> Sequence[Arm]:
    """Each method with each label budget."""
    from core import tasks

    own = COMPARED if tasks.card(choices.dataset.task).new_head else COMPARED_OWN_HEAD
    budgets = choices.budgets or (None,)
    return [Arm(name=named(method) + (f"-{budget or 'all'}" if len(budgets) > 1 else ""),
                label=choices.called(method) + (f", {budget or 'all'} labels" if len(budgets) > 1 else ""),
                recipe=choices.recipe(method, budget=budget))
            for budget in budgets for method in choices.chosen(*own)]


def pairs(arms: Sequence[Arm]) -> Pairs:
    """Methods with the same labels."""
    return [(a, b) for a, b in every_pair(arms) if _budget(arms, a) == _budget(arms, b)]


def _budget(arms: Sequence[Arm], name: str) -> float:
    labels = next(arm.recipe.label_budget for arm in arms if arm.name == name)
    return math.inf if labels is None else labels


def answer(found: Found) -> Answer:
    """Which arm is best, or which cannot be told apart: of those with the most labels."""
    most = max((_budget(found.arms, arm.name) for arm in found.arms), default=math.inf)
    return best_of(found, what="method", among=[arm.name for arm in found.arms
                                                if _budget(found.arms, arm.name) == most])


def best_of(found: Found, *, what: str, split: str = "test", among: Sequence[str] | None = None) -> Answer:
    """The best arm if it is better than every other; else all that the numbers leave open.

    among: names of the arms that it is about; None = all.
    """
    ranked = [arm.name for arm in found.ranked(split) if among is None or arm.name in among]
    if len(ranked) < 2:
        return Answer(sentence=f"Fewer than two arms have results, so that no {what} is better than another.")
    top, others = ranked[0], ranked[1:]
    tests = [found.between(top, other, split) for other in others]
    left = [test for test in tests if test.verdict != "better"]
    shown = (left or tests)[0]
    label, score = found.label(top), f"{found.number(found.value(top, split))} {found.metric.on(split)}"
    if left:
        names = listed([f"{label} ({score} over {found.seeds_said})", *(found.label(test.b) for test in left)])
        sentence = (f"{THESE} cannot tell {names} apart: {label} − "
                    f"{found.label(shown.b)} is {found.gap(shown.difference, signed=True)}. {found.more(shown, split)}")
    else:
        sentence = (f"{label} is best, with {score} over {found.seeds_said}: ahead of {found.label(shown.b)} by "
                    f"{found.gap(shown.difference)}.")
    return Answer(sentence=sentence.rstrip(), value=shown.difference.value, low=shown.difference.low,
                  high=shown.difference.high,
                  details={"best": top, "told_apart": not left, "undecided": [top, *(test.b for test in left)]})


DESIGN = Design(name="methods", question="Which method?",
                explains="The same base model trained in several ways on the same rows, each with several seeds.",
                paper="Biderman et al. 2024, arXiv 2405.09673: LoRA learns less and forgets less.",
                arms=arms, answer=answer, takes_budgets=True, pairs=pairs)
