"""Which base model?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.domain.experiment import Answer, Arm
from core.errors import RecipeError
from core.metrics import Metric, primary
from core.metrics.bits_per_byte import METRIC as BITS_PER_BYTE
from core.models import catalogue
from core.models.methods import FROZEN, WHOLE
from core.planning.designs.base import Choices, Design, named
from core.planning.designs.found import Found
from core.planning.designs.methods import best_of

SCORED = FROZEN
"""Its validation score is what a base model's features are worth before anything of them is trained."""


def arms(choices: Choices) -> Sequence[Arm]:
    """A linear probe and one method on each base model."""
    if len(choices.models) < 2:
        raise RecipeError("This design compares base models.", why="One was named.",
                          remedy="Name several, with commas between them.")
    found = []
    for facts in choices.models:
        title = Path(facts.id).name
        for method in dict.fromkeys((SCORED, *choices.chosen(WHOLE, facts=facts))):
            found.append(Arm(name=f"{named(title)}-{named(method)}",
                             label=f"{called(facts.id)}, {choices.called(method)}",
                             recipe=choices.recipe(method, facts=facts)))
    return found


def called(model: str) -> str:
    """What people call a base model: the catalogue's name, or the last part of a hub id or folder."""
    entry = catalogue.find(model)
    return Path(model).name if entry is None else entry.name


def decides(names: Sequence[str]) -> Metric | None:
    """Language models with different tokenizers are compared by bits per byte, never by loss a token."""
    return BITS_PER_BYTE if BITS_PER_BYTE.name in names else primary(names)


def answer(found: Found) -> Answer:
    """The best arm, and whether the probes' validation scores named its base model."""
    said = best_of(found, what="base model")
    probes = [arm for arm in found.ranked("validation") if arm.recipe.method == SCORED]
    tuned = [arm for arm in found.ranked() if arm.recipe.method != SCORED]
    if len(probes) < 2 or not tuned:
        return said
    first, best = probes[0].recipe.base_model, tuned[0].recipe.base_model
    level = {arm.recipe.base_model for arm in tuned if arm.recipe.base_model == best
             or found.between(tuned[0].name, arm.name).verdict == "cannot tell"}
    right = (f"had named {called(first)}, and {called(best)} came out first" if first not in level else
             "named the same base model" if len(level) == 1 else
             f"had named {called(first)}, and tuned these runs cannot tell it from "
             f"{', '.join(called(model) for model in sorted(level - {first}))}")
    scores = {arm.recipe.base_model: found.value(arm.name, "validation") for arm in probes}
    return Answer(sentence=f"{said.sentence} The validation score of a probe, known before any tuning, {right}.",
                  value=said.value, low=said.low, high=said.high, details={**said.details, "transfer_scores": scores})


DESIGN = Design(name="base", question="Which base model?",
                explains="A linear probe and full fine-tuning on each of several base models.",
                paper="Kornblith et al. 2019, arXiv 1805.08974: probes predict tuned accuracy, but not always.",
                arms=arms, answer=answer, decides=decides)
