"""Which single block matters?"""

from __future__ import annotations

from collections.abc import Sequence

from core.domain import freeze
from core.domain.experiment import Answer, Arm
from core.domain.freeze import FreezePlan
from core.models.methods import PLANNED
from core.planning.designs import charts
from core.planning.designs.base import Choices, Design, Pairs, named
from core.planning.designs.found import Found

EVERYTHING = "everything"


def arms(choices: Choices) -> Sequence[Arm]:
    """One block thawed at a time, and everything for comparison."""
    blocks = choices.facts.block_names
    body = [block for block in blocks if block != freeze.HEAD]
    choices.needed(PLANNED)
    found = [Arm(name=named(block), label=f"only {block}", x=index,
                 recipe=choices.recipe(PLANNED, plan=FreezePlan(frozen=tuple(b for b in body if b != block))))
             for index, block in enumerate(body)]
    return [*found, Arm(name=EVERYTHING, label="everything", x=len(body),
                        recipe=choices.recipe(PLANNED, plan=FreezePlan()))]


def pairs(arms: Sequence[Arm]) -> Pairs:
    """Each block against everything."""
    return [(arm.name, EVERYTHING) for arm in arms if arm.name != EVERYTHING]


def answer(found: Found) -> Answer:
    """The best single block beside everything thawed."""
    single = [arm for arm in found.ranked() if arm.name != EVERYTHING]
    if not single or not found.rows.get(EVERYTHING, {}).get("test"):
        return Answer(sentence="The single blocks and everything thawed do not all have results yet.")
    best, worst = single[0], single[-1]
    test = found.between(best.name, EVERYTHING)
    scores = {arm.name: found.value(arm.name) for arm in found.arms}
    said = {"better": "better than everything thawed, by", "worse": "worse than everything thawed, by",
            "cannot tell": "which these runs cannot tell from everything thawed, with a difference of"}[test.verdict]
    open_ones = test.verdict == "cannot tell"
    reached = f"{found.number(found.value(best.name))} test {found.metric.label} over {found.seeds_said}"
    level = found.value(best.name) == found.value(worst.name)
    first = (f"Every single block reaches the same ({reached})" if level else
             f"Of single blocks, {best.label.removeprefix('only ')} does best ({reached}; the worst is "
             f"{found.number(found.value(worst.name))} with {worst.label.removeprefix('only ')})")
    sentence = f"{first}: {said} {found.gap(test.difference, signed=open_ones)}."
    return Answer(sentence=f"{sentence} {found.more(test)}".rstrip(), value=test.difference.value,
                  low=test.difference.low, high=test.difference.high, details={"best": best.name, "scores": scores})


DESIGN = Design(name="block", question="Which single block matters?",
                explains="Each block thawed by itself while all others stay frozen, beside everything thawed.",
                paper="Lee et al. 2023, arXiv 2210.11466: which block to tune depends on the kind of shift.",
                arms=arms, answer=answer, fixed_methods=True, pairs=pairs,
                charts=charts.along(x_title="The block that is thawed", joined=False, named=True))
