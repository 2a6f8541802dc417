"""Does 4-bit cost me?"""

from __future__ import annotations

from collections.abc import Sequence

from core.domain.experiment import Answer, Arm
from core.domain.recipe import ADAMW
from core.models.methods import FOUR_BIT, SIXTEEN_BIT
from core.planning.designs.base import Choices, Design
from core.planning.designs.found import Found


def arms(choices: Choices) -> Sequence[Arm]:
    """LoRA on 16-bit and on 4-bit weights: same rank, rate and optimiser."""
    return [Arm(name=method, label=choices.called(method),
                recipe=choices.recipe(choices.needed(method)).replace(optimizer=ADAMW))
            for method in (SIXTEEN_BIT, FOUR_BIT)]


def answer(found: Found) -> Answer:
    """QLoRA minus LoRA."""
    if len(found.arms) < 2:
        return Answer(sentence="Both arms need a result before they can be compared.")
    test = found.between(FOUR_BIT, SIXTEEN_BIT)
    if test.verdict == "cannot tell":
        sentence = (f"These runs do not show that four bits cost anything: QLoRA − LoRA is "
                    f"{found.gap(test.difference, signed=True)} over {found.seeds_said}. {found.more(test)}").rstrip()
    else:
        cost = "cost" if test.verdict == "worse" else "gained"
        sentence = f"Four bits {cost} {found.gap(test.difference)} over {found.seeds_said}."
    return Answer(sentence=sentence, value=test.difference.value, low=test.difference.low, high=test.difference.high)


DESIGN = Design(name="four-bit", question="Does 4-bit cost me?",
                explains="The same adapters on weights held in 16 and in 4 bits: same rank, rate and optimiser.",
                paper="Dettmers et al. 2023, arXiv 2305.14314: NF4 with adapters recovers 16-bit fine-tuning.",
                arms=arms, answer=answer, fixed_methods=True)
