"""From choices to recipes: which methods apply, the dial's defaults, what a recipe will cost, whether it may run. No
torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from core import tasks
from core.domain import resolve
from core.domain.dataset import BundledDataset, Dataset, Split, Task
from core.domain.device import Device
from core.domain.model import Block, ModelFacts
from core.domain.recipe import Recipe
from core.errors import RecipeError
from core.models import catalogue as model_catalogue
from core.models import facts as model_facts
from core.models import methods as method_registry
from core.planning import effort, knobs, names
from core.planning import estimate as estimates
from core.planning.budget import limited
from core.planning.estimate import Estimate
from core.settings import Settings


@dataclass(frozen=True, kw_only=True)
class MethodChoice:
    """A method as the Train page offers it for one base model on this device."""

    name: str
    label: str
    summary: str
    reason: str | None
    """Why it does not apply; None when it does."""
    note: str | None
    """Something to know on this device."""
    knobs: tuple[str, ...]
    needs_freeze_plan: bool
    adapter: bool
    """Whether it trains adapters, which need not follow the plan."""
    everyday: bool
    """Whether it stands where everybody looks; the others are folded away."""
    preselected: bool
    """Whether it is ticked at first, where it applies."""
    colour_index: int


def choices(facts: ModelFacts, device: Device | None, task: Task | None = None) -> list[MethodChoice]:
    """All methods in the order of the registry, with the reason where one does not apply to the model or the task
    (None: the first of the model's)."""
    task, found = task or facts.tasks[0], []
    for method in method_registry.REGISTRY.values():
        card = method.card
        summary = card.summary if tasks.card(task).new_head else card.own_head or card.summary
        found.append(MethodChoice(
            name=card.name, label=names.method(card.name, task), summary=summary,
            reason=why_not(card.name, facts, device, task), note=method.note(device),
            knobs=knobs.for_model(card.knobs, facts, task), needs_freeze_plan=card.needs_freeze_plan,
            adapter=card.adapter is not None, everyday=card.everyday, preselected=card.preselected,
            colour_index=card.colour_index))
    return found


def why_not(method: str, facts: ModelFacts | None, device: Device | None, task: Task) -> str | None:
    """Why a method does not apply to a task with this base model on this device; None when it does.

    facts: None while nothing is known of the base model, so that the task alone decides.
    """
    found = method_registry.get(method)
    if found.card.contrast and not task.labelled:
        return method_registry.NO_CLASSES
    if found.card.own_head is None and not tasks.card(task).new_head:
        return method_registry.NO_NEW_HEAD
    if found.card.own_head_only and tasks.card(task).new_head:
        return method_registry.NO_OWN_HEAD
    return None if facts is None else found.applies_to(facts, device)


def check_method(recipe: Recipe, facts: ModelFacts | None, device: Device | None) -> None:
    """Raise RecipeError where `why_not` has a reason."""
    if reason := why_not(recipe.method, facts, device, recipe.task):
        other = "Choose another method or another base model." if facts else "Choose another method."
        raise RecipeError(f"{method_registry.card_of(recipe.method).label} does not apply to {recipe.base_model}.",
                          why=f"The reason: {reason}.", remedy=other)


def default_recipe(*, ref: str, dataset: Dataset | BundledDataset, model: str, facts: ModelFacts | None, method: str,
                   level: str, seed: int = 0, budget: int | None = None, device: Device | None = None) -> Recipe:
    """What the effort dial gives. Works before data and weights are here: the catalogues then tell sizes and blocks.

    ref: how the recipe names the dataset. budget: labels to use, training and validation together; None or more than
    there are = all.
    """
    method_registry.get(method)
    if isinstance(dataset, Dataset):
        rows, validation, mean_length = dataset.rows(Split.TRAIN), dataset.rows(Split.VALIDATION), dataset.mean_length
    else:
        rows, validation, mean_length = *(dataset.split_sizes or (dataset.rows, 0))[:2], 0.0
    limit = limited(budget, train=rows, validation=validation)
    recipe = effort.defaults(dataset=ref, task=dataset.task, base_model=model, method=method, effort=level, seed=seed,
                             train_rows=min(limit or rows, rows or limit or 0) or None, mean_length=mean_length,
                             facts=facts or known_blocks(model), device=device)
    return recipe.replace(label_budget=limit)


def known_blocks(model: str) -> ModelFacts | None:
    """Facts of a bundled model that was not fetched yet, as far as the catalogue knows them: the names of its blocks.
    """
    entry = model_catalogue.find(model)
    if entry is None or not entry.depth:
        return None
    names = ("embeddings", *(f"block {i}" for i in range(entry.depth)))
    return ModelFacts(id=entry.id, revision="", architecture="", tasks=entry.tasks, hidden_size=0, intermediate_size=0,
                      attention_heads=0, max_length=0, has_batch_norm=entry.has_batch_norm,
                      blocks=tuple(Block(index=i, name=name, parameters=0) for i, name in enumerate(names)))


def check(recipe: Recipe, *, facts: ModelFacts | None, device: Device | None, task: Task, settings: Settings) -> None:
    """Raise a ThawError when the recipe cannot run: limits, method, freeze plan, base model, task."""
    effort.validate(recipe, facts)
    if recipe.task is not task:
        raise RecipeError(f"The recipe is for {recipe.task}, the dataset for {task}.",
                          remedy="Choose a dataset of the recipe's task.")
    model_facts.check_named_by_visitor(recipe.base_model, settings)
    if device is not None:
        resolve.check(recipe, device)
    check_method(recipe, facts, device)


def estimate(recipe: Recipe, *, facts: ModelFacts, device: Device | None, dataset: Dataset, slots: int = 1) -> Estimate:
    """Memory and time of one recipe on a dataset that is here."""
    return estimates.estimate(recipe, facts=facts, device=device, n_classes=len(dataset.classes),
                              mean_length=dataset.mean_length, slots=slots,
                              rows={split: dataset.rows(split) for split in dataset.counts})
