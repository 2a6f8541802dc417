"""How deep to thaw?"""

from __future__ import annotations

from collections.abc import Sequence

from core.domain import freeze
from core.domain.experiment import Answer, Arm
from core.errors import RecipeError
from core.models.methods import FROZEN, PLANNED
from core.planning.designs import charts
from core.planning.designs.base import Choices, Design, Pairs
from core.planning.designs.found import Found

MOST_DEPTHS = 8
"""Of deeper models, evenly spread."""


def arms(choices: Choices) -> Sequence[Arm]:
    """The head alone, then ever more blocks from the top, and everything."""
    blocks = choices.facts.block_names
    body = [block for block in blocks if block != freeze.HEAD]
    choices.needed(PLANNED)
    found = [Arm(name="thaw-0", label=f"{choices.called(FROZEN)}, nothing thawed", x=0,
                 recipe=choices.recipe(choices.needed(FROZEN)))]
    for k in chosen(choices.depths, len(body)):
        label = "everything thawed" if k == len(body) else f"top {k} of {len(body)} thawed"
        found.append(Arm(name=f"thaw-{k}", label=label, x=k,
                         recipe=choices.recipe(PLANNED, plan=freeze.top_k(blocks, k))))
    return found


def chosen(asked: Sequence[int], most: int) -> list[int]:
    """The depths asked for between nothing and everything, and everything; the design's own where none is asked for.
    Raises RecipeError where one is more than there is."""
    if not asked:
        return depths(most)
    if outside := [k for k in asked if not 0 <= k <= most]:
        raise RecipeError(f"{outside[0]} blocks cannot be thawed.", why=f"This model has {most} besides its head.",
                          remedy=f"Name depths from 0 to {most}.")
    return sorted({k for k in asked if k} | {most})


def depths(most: int) -> list[int]:
    """1 … most, at most `MOST_DEPTHS` of them: `depths(31)` -> 1, 5, 10, …, 31."""
    if most <= MOST_DEPTHS:
        return list(range(1, most + 1))
    return sorted({round(1 + step * (most - 1) / (MOST_DEPTHS - 1)) for step in range(MOST_DEPTHS)})


def pairs(arms: Sequence[Arm]) -> Pairs:
    """Each depth against everything thawed."""
    return [(arm.name, arms[-1].name) for arm in arms[:-1]]


def answer(found: Found) -> Answer:
    """The fewest thawed blocks that everything thawed is not better than."""
    there = found.arms
    if len(there) < 2 or there[-1].name != found.experiment.arms[-1].name:
        return Answer(sentence="The runs with everything thawed have no result, which the other depths are held "
                               "against.")
    all_of_it = there[-1]
    worse = {test.a for test in found.compared if test.verdict == "worse"}
    # from the top down: as soon as a depth is worse than everything, shallower ones are no answer
    enough = all_of_it
    for arm in reversed(there[:-1]):
        if arm.name in worse:
            break
        enough = arm
    scores = {arm.name: found.value(arm.name) for arm in there}
    if enough is all_of_it:
        last = found.between(there[-2].name, all_of_it.name)
        return Answer(sentence=f"Every block counts: {there[-2].label} is behind {all_of_it.label} by "
                               f"{found.gap(last.difference)}, over {found.seeds_said}.",
                      value=last.difference.value, low=last.difference.low, high=last.difference.high,
                      details={"enough": all_of_it.x, "scores": scores})
    test = found.between(enough.name, all_of_it.name)
    start = f"From {enough.label} on" if enough is not there[0] else f"Already from {enough.label}"
    sentence = (f"{start} ({found.number(found.value(enough.name))} test {found.metric.label}), thawing "
                f"more shows no gain that these runs could tell from chance over {found.seeds_said}: "
                f"{enough.label} − {all_of_it.label} is {found.gap(test.difference, signed=True)}.")
    return Answer(sentence=f"{sentence} {found.more(test)}".rstrip(), value=test.difference.value,
                  low=test.difference.low, high=test.difference.high, details={"enough": enough.x, "scores": scores})


DESIGN = Design(name="depth", question="How deep to thaw?",
                explains="The head alone, then one more block from the top at a time, until everything trains.",
                paper="Yosinski et al. 2014, arXiv 1411.1792: features become less general layer by layer.",
                arms=arms, answer=answer, fixed_methods=True, pairs=pairs, takes_depths=True,
                charts=charts.along(x_title="Blocks thawed from the top"))
