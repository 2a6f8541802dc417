"""What runs are called: method · what is frozen · labelled rows · seed, read from the recipe whenever it is shown.

Nothing keeps a copy of a name but the one that a person gave, which wins. A fork also says what it changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from core import tasks
from core.domain import freeze
from core.domain.dataset import UNSAID, Task
from core.domain.recipe import Recipe, differences
from core.domain.run import JobKind, Run
from core.models import methods
from core.models.methods import Card
from core.planning.budget import LABELS
from core.planning.knobs import KNOBS
from core.planning.knobs import value as value_of

_ASPECTS = {"method": "method", "freeze.frozen": "frozen", "label_budget": "rows", "budget_counts": "rows",
            "seed": "seed"}
"""Recipe field -> the part of the name that says it."""
_UNSAID = ("schema_version", "task", "effort", "dataset", "base_model")
"""Fields that a name leaves out: others follow from them, or the experiment's title says them."""
SEPARATOR = " · "
_ANY_BLOCKS = ("embeddings", "block 0", freeze.HEAD)


UNTOUCHED = "Untouched model"
"""A method that trains nothing but a new head, where there is none."""


def method(name: str, task: Task = UNSAID) -> str:
    """The label of a method for a task; the bare name when this version no longer knows it."""
    card = _card(name)
    if card and card.solved and not tasks.card(task).new_head:
        return UNTOUCHED
    return card.label if card else name


def frozen(recipe: Recipe) -> str:
    """What is frozen: `nothing frozen`, `all but head frozen`, `embeddings, blocks 0–2 frozen`."""
    card, plan = _card(recipe.method), recipe.freeze
    if card and card.solved and not tasks.card(recipe.task).new_head:
        return "nothing trained"
    if card and card.adapter:
        left_out = freeze.describe(plan).removesuffix(" frozen")
        return f"base frozen, no adapters in {left_out}" if plan.frozen else "base frozen"
    if card and not card.needs_freeze_plan:
        return freeze.describe(card.default_plan(_ANY_BLOCKS), _ANY_BLOCKS)
    return freeze.describe(plan)


def rows(recipe: Recipe) -> str:
    """How many labelled rows it may use: `all rows`, `128 rows`, and of older recipes `128 training rows`."""
    if recipe.label_budget is None:
        return "all rows"
    return f"{recipe.label_budget:,} {'rows' if recipe.budget_counts == LABELS else 'training rows'}"


def of_recipe(recipe: Recipe) -> str:
    """The whole name that a recipe gives: `LoRA · base frozen · 128 rows · seed 2`."""
    return _joined(_parts(recipe))


def given(run: Run) -> str | None:
    """The name that a person gave to a run (or the name of a job that trains nothing); None while it has none."""
    if run.recipe is None or run.renamed:
        return run.name
    if run.renamed is None and not _made_by_earlier_version(run, run.recipe):
        return run.name
    return None


def whole(run: Run) -> str:
    """All of it, e.g. for hovering: `LoRA · base frozen · all rows · seed 0`, behind the given name where there is
    one."""
    name, said = given(run), derived(run)
    return said if name is None or run.recipe is None else f"{name} ({said})"


def derived(run: Run) -> str:
    """The whole name without the one that a person gave."""
    return run.name if run.recipe is None else _joined(_parts(run.recipe) | _changes(run))


def of_job(job: Run, runs: Sequence[Run]) -> str:
    """What a job is called; one that makes the features of a single run by that run's name as it is now.

    runs: those of its workspace.
    """
    folders = job.payload.get("runs", ()) if job.kind is JobKind.FEATURES else ()
    about = [run for run in runs if run.recipe is not None and run.folder in folders]
    if len(folders) != 1 or not about:
        return job.name
    _, beside, second = job.name.partition(" beside ")
    return f"Features of {one(about[0])}{beside}{second}"


def one(run: Run) -> str:
    """The short name of a run that stands alone."""
    return short([run])[run.id]


def short(runs: Sequence[Run], titles: Mapping[str | None, str] | None = None, *, seeds: bool = True) -> dict[str, str]:
    """Run id -> method and what differs among these runs, unique among them; a given name wins.

    titles: experiment id -> its name, said where the runs are of several experiments. seeds: False for arms, whose runs
    differ by their seed.
    """
    own = {run.id: _parts(run.recipe) for run in runs if run.recipe is not None}
    telling = _telling(own.values())
    several = len({run.experiment for run in runs}) > 1
    found = {}
    for run in runs:
        name = given(run)
        if name is None:
            parts, changed = own[run.id], _changes(run)
            kept = telling[parts["method"]] | changed.keys()
            name = _joined({key: text for key, text in (parts | changed).items()
                            if key in kept and (seeds or key != "seed")})
            if several and titles and run.experiment in titles:
                name += f" ({titles[run.experiment]})"
        found[run.id] = name
    return _unique(runs, found)


def _telling(every: Collection[Mapping[str, str]]) -> dict[str, set[str]]:
    """Method -> the parts of a name that tell these runs apart. Another method freezes otherwise anyway, so what is
    frozen counts within a method."""
    several = {key for key in ("rows", "seed") if len({parts[key] for parts in every}) > 1}
    freezes: dict[str, set[str]] = {}
    for parts in every:
        freezes.setdefault(parts["method"], set()).add(parts["frozen"])
    return {name: {"method", *several, *(("frozen",) if len(texts) > 1 else ())} for name, texts in freezes.items()}


def _unique(runs: Sequence[Run], names: dict[str, str]) -> dict[str, str]:
    """Where a name stands twice, the settings that differ are added, and the run's id where none does."""
    for add in (_other_settings, _id):
        often = Counter(names.values())
        for name in [name for name, times in often.items() if times > 1]:
            alike = [run for run in runs if names[run.id] == name]
            names |= {run.id: text for run, text in zip(alike, add(alike, name), strict=True)}
    return names


def _other_settings(alike: Sequence[Run], name: str) -> list[str]:
    recipes = [run.recipe for run in alike if run.recipe is not None]
    if len(recipes) < len(alike):
        return [name] * len(alike)
    fields = [field for field in differences(recipes) if field not in _UNSAID]
    return [SEPARATOR.join([name, *dict.fromkeys(_said(recipe, field) for field in fields)]) for recipe in recipes]


def _id(alike: Sequence[Run], name: str) -> list[str]:
    """The first one keeps the name."""
    return [name, *(f"{name} {run.id[:4]}" for run in alike[1:])]


def _joined(parts: Mapping[str, str]) -> str:
    return SEPARATOR.join(parts.values())


def _parts(recipe: Recipe) -> dict[str, str]:
    """Aspect -> its words, in the order of a name."""
    return {"method": method(recipe.method, recipe.task), "frozen": frozen(recipe), "rows": rows(recipe),
            "seed": f"seed {recipe.seed}"}


def _changes(run: Run) -> dict[str, str]:
    """What a fork changed against its parent, where that is still here: aspect or field -> words."""
    if run.recipe is None or run.parent_recipe is None:
        return {}
    found = {}
    for field, (before, _) in differences([run.parent_recipe, run.recipe]).items():
        if field not in _UNSAID and before != "auto":  # what the parent left to the device, the fork could not
            found[_ASPECTS.get(field, field)] = _said(run.recipe, field)
    return found


def _said(recipe: Recipe, field: str) -> str:
    """One setting in words: `LoRA rank 16`, `learning rate 0.0003`."""
    if field in _ASPECTS:
        return _parts(recipe)[_ASPECTS[field]]
    label = next((knob.label for knob in KNOBS if knob.field == field), field.replace("_", " "))
    words = label if label[1:] != label[1:].lower() else label[0].lower() + label[1:]
    return f"{words} {_text(value_of(recipe, field))}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _card(name: str) -> Card | None:
    return methods.REGISTRY[name].card if name in methods.REGISTRY else None


def _made_by_earlier_version(run: Run, recipe: Recipe) -> bool:
    """Whether a name from before renaming was recorded was made from the recipe, `Title · LoRA · 128 labels · seed 2`,
    or is that of its folder."""
    arm = [method(recipe.method, recipe.task)]
    if recipe.label_budget:
        arm.append(f"{recipe.label_budget:,} {'labels' if recipe.budget_counts == LABELS else 'training rows'}")
    if recipe.seed:
        arm.append(f"seed {recipe.seed}")
    made = run.name.removesuffix(" (fork)").endswith(f" · {' · '.join(arm)}")
    return made or run.name == Path(run.folder).name
