"""What a design says of itself, what it is made from, and how an experiment becomes runs: the one place for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.domain import freeze, resolve
from core.domain.dataset import Dataset, Split
from core.domain.device import Device
from core.domain.experiment import Answer, Arm, Experiment, Planned
from core.domain.freeze import FreezePlan
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.errors import RecipeError
from core.metrics import Metric, primary
from core.models import methods
from core.planning import effort, names, recipes
from core.planning.budget import limited
from core.planning.designs import charts
from core.planning.designs.found import Found
from core.plots.theme import Chart


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a person decided before a design lays out its arms."""

    dataset: Dataset
    models: tuple[ModelFacts, ...]
    """The first one, but for designs that compare base models."""
    methods: tuple[str, ...] = ()
    """Empty: the design's own."""
    budgets: tuple[int | None, ...] = ()
    """Label budgets, None = all; empty: the design's own. One alone holds for every arm of any design."""
    rates: tuple[float, ...] = ()
    """Factors on the learning rates; empty: the design's own."""
    depths: tuple[int, ...] = ()
    """Numbers of blocks that thaw from the top, of designs that ask how deep; empty: the design's own. Nothing thawed
    and everything thawed are arms whatever is named."""
    updates: int | None = None
    """Most updates of a run, where the effort dial would make more of them."""
    effort: str = "normal"
    freeze: str | None = None
    """A freeze plan in words, for methods with one."""
    device: Device | None = None

    @property
    def facts(self) -> ModelFacts:
        return self.models[0]

    @property
    def labels(self) -> int:
        """Labelled rows there are, training and validation together."""
        return self.dataset.rows(Split.TRAIN) + self.dataset.rows(Split.VALIDATION)

    def chosen(self, *own: str, facts: ModelFacts | None = None) -> tuple[str, ...]:
        """The methods asked for, or the design's own, that apply. Raises RecipeError where none does, and where one
        that was asked for does not."""
        asked = self.methods or own
        reasons = {name: recipes.why_not(name, facts or self.facts, self.device, self.dataset.task) for name in asked}
        fitting = tuple(name for name in asked if reasons[name] is None)
        if not fitting or (self.methods and len(fitting) < len(asked)):
            said = "; ".join(f"{names.method(name, self.dataset.task)}: {reason}" for name, reason in reasons.items()
                             if reason)
            raise RecipeError("A method of this experiment does not apply.", why=f"{said}.",
                              remedy="Leave it out, or choose another base model.")
        return fitting

    def needed(self, name: str) -> str:
        """A method that the design cannot do without. Raises RecipeError saying why it does not apply."""
        if reason := recipes.why_not(name, self.facts, self.device, self.dataset.task):
            raise RecipeError(f"This experiment needs the method {names.method(name, self.dataset.task)}.",
                              why=f"It does not apply: {reason}.", remedy="Choose another base model or design.")
        return name

    def recipe(self, method: str, *, budget: int | None = None, facts: ModelFacts | None = None,
               plan: FreezePlan | None = None) -> Recipe:
        """What the effort dial gives, with a freeze plan of the design's own where it has one."""
        facts = facts or self.facts
        if budget is None and len(self.budgets) == 1:
            budget = self.budgets[0]
        rows = self.dataset.rows(Split.TRAIN)
        limit = limited(budget, train=rows, validation=self.dataset.rows(Split.VALIDATION))
        found = effort.defaults(dataset=self.dataset.id, task=self.dataset.task, base_model=facts.id, method=method,
                                effort=self.effort, train_rows=min(limit or rows, rows), facts=facts,
                                mean_length=self.dataset.mean_length, device=self.device).replace(label_budget=limit)
        if self.updates is not None:
            found = effort.shortened(found, updates=self.updates, train_rows=min(limit or rows, rows))
        if plan is None and self.freeze and methods.get(method).card.needs_freeze_plan:
            plan = freeze.parse(self.freeze, facts.block_names)
        found = found if plan is None else found.replace(freeze=plan)
        effort.validate(found, facts)
        return resolve.resolved(found, self.device)

    def called(self, method: str) -> str:
        return names.method(method, self.dataset.task)


Pairs = Sequence[tuple[str, str]]


def every_pair(arms: Sequence[Arm]) -> Pairs:
    """Each arm against each later one."""
    return [(a.name, b.name) for i, a in enumerate(arms) for b in arms[i + 1:]]


def against(reference: str) -> Callable[[Sequence[Arm]], Pairs]:
    """Each other arm against the one of this name."""
    return lambda arms: [(arm.name, reference) for arm in arms if arm.name != reference]


@dataclass(frozen=True, kw_only=True)
class Design:
    """A question, the arms that settle it, and the sentence that their numbers support."""

    name: str
    """On the command line."""
    question: str
    """For people."""
    explains: str
    """What is trained for it, in one sentence for a workshop participant."""
    paper: str
    """Where the design comes from, or what is known about the question."""
    arms: Callable[[Choices], Sequence[Arm]]
    answer: Callable[[Found], Answer]
    pairs: Callable[[Sequence[Arm]], Pairs] = every_pair
    """Arms that are held against each other (Holm's correction counts these)."""
    charts: Callable[[Found], Sequence[Chart]] = charts.dots
    """What is drawn of it, the most telling one first."""
    seeds: int = 3
    """Unless more or fewer are asked for."""
    decides: Callable[[Sequence[str]], Metric | None] = primary
    """Of these metrics, the one that the answer is about."""
    fixed_methods: bool = False
    """Whether the question itself says which methods are trained."""
    takes_budgets: bool = False
    """Whether several label budgets can be chosen."""
    takes_depths: bool = False
    """Whether it asks how deep to thaw, so that depths can be chosen."""
    sweeps_rates: bool = False
    """Whether its arms differ in their rates, so that a grid of rates is no further choice."""


def experiment(design: Design, choices: Choices, *, seeds: Sequence[int] = ()) -> Experiment:
    """Lay a design out. Raises RecipeError where it does not fit the data or the model, or two arms are alike."""
    if len(choices.budgets) > 1 and not design.takes_budgets:
        raise RecipeError(f"“{design.question}” is asked with one label budget.",
                          why=f"{len(choices.budgets)} are named, and its arms differ in something else.",
                          remedy="Name one budget, which all arms then have.")
    if choices.depths and not design.takes_depths:
        raise RecipeError(f"“{design.question}” has no depths to choose.", why="Its arms differ in something else.",
                          remedy="Leave the depths out, or ask how deep to thaw.")
    arms = tuple(design.arms(choices))
    rates = (1.0,) if design.sweeps_rates else choices.rates or (1.0,)
    if len({arm.name for arm in arms}) < len(arms) or not arms:
        raise RecipeError("This experiment has arms that are alike.", why="A method, budget or rate is named twice.",
                          remedy="Name each once.")
    return Experiment(design=design.name, dataset=choices.dataset.id, arms=arms, rates=rates,
                      seeds=tuple(seeds) or tuple(range(design.seeds)))


def expanded(found: Experiment) -> list[Planned]:
    """Arms × rates × seeds, seeds innermost, so that what runs share is computed by the first."""
    return [Planned(arm=arm.name, seed=seed, rate=rate, recipe=with_rate(arm.recipe, rate).replace(seed=seed))
            for arm in found.arms for rate in rates_of(arm, found.rates) for seed in found.seeds]


def rates_of(arm: Arm, rates: Sequence[float]) -> tuple[float, ...]:
    """What is solved in closed form has no rate to choose."""
    return (1.0,) if methods.card_of(arm.recipe.method).solved else tuple(rates)


def with_rate(recipe: Recipe, factor: float) -> Recipe:
    """All learning rates times this."""
    return recipe if factor == 1 else recipe.replace(learning_rate=recipe.learning_rate * factor,
                                                     head_learning_rate=recipe.head_learning_rate * factor)


def named(text: str) -> str:
    """A label as part of an arm's name: `block 3` -> `block-3`."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")
