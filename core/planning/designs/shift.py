"""Will it survive the shift?"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from core import tasks
from core.domain.dataset import Split
from core.domain.experiment import Answer, Arm
from core.errors import RecipeError
from core.metrics.words import listed
from core.models import methods
from core.planning.designs import charts
from core.planning.designs.base import Choices, Design, named
from core.planning.designs.found import Found
from core.planning.designs.methods import THESE, best_of
from core.plots.theme import Chart


def arms(choices: Choices) -> Sequence[Arm]:
    """Methods that move the features by nothing, little and much, and one that goes halfway back."""
    if not choices.dataset.rows(Split.SHIFT):
        raise RecipeError(f"{choices.dataset.name} has no rows of another domain.",
                          why="This design measures what is left of a model on them.",
                          remedy="Attach a shift set to the dataset, or make one from its test rows on its page.")
    new_head = tasks.card(choices.dataset.task).new_head
    own = [name for name in methods.UNDER_SHIFT if new_head or methods.card_of(name).own_head is not None]
    return [Arm(name=named(method), label=choices.called(method), recipe=choices.recipe(method))
            for method in choices.chosen(*own)]


def answer(found: Found) -> Answer:
    """Who leads in the domain, who beyond it, and whether that differs."""
    inside, outside = found.ranked(), found.ranked("shift")
    if len(outside) < 2:
        return Answer(sentence="Fewer than two arms have predictions of shift rows.")
    said = best_of(found, what="arm", split="shift")
    first, lost = inside[0].name, {arm.name: found.value(arm.name) - found.value(arm.name, "shift") for arm in outside}
    level = [other.label for other in inside[1:] if found.between(first, other.name).verdict == "cannot tell"]
    start = (f"On test rows {found.label(first)} stands first with {found.number(found.value(first))}"
             + (f", which these runs cannot tell from {listed(level)}. " if level else ". "))
    start += f"On shift rows ({found.shift_made}): " if found.shift_made else "On shift rows: "
    rest = said.sentence
    if rest.startswith(THESE):
        rest = rest[:1].lower() + rest[1:]
    return dataclasses.replace(said, sentence=start + rest, details={**said.details, "lost": lost})


def drawn(found: Found) -> list[Chart]:
    """Shift rows first, test rows beside them."""
    return charts.dots(found, ("shift", "test"))


DESIGN = Design(name="shift", question="Will it survive the shift?",
                explains="Methods that move the features by nothing, little and much, judged on another domain's rows.",
                paper="Kumar et al. 2022, arXiv 2202.10054: fine-tuning can distort features and lose under shift.",
                arms=arms, answer=answer, charts=drawn)
