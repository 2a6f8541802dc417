"""What a run is called and which colour it keeps, from its recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.domain.recipe import Recipe
from core.domain.run import Run
from core.models.methods import REGISTRY
from core.planning.budget import in_words as labels_in_words


def method(name: str) -> str:
    """The label of a method; the bare name when this version no longer knows it."""
    return REGISTRY[name].card.label if name in REGISTRY else name


def index(recipe: Recipe | None) -> int:
    """The colour index of a run's arm."""
    return REGISTRY[recipe.method].card.colour_index if recipe and recipe.method in REGISTRY else 0


def short(run: Run, *, seeds: bool = True, budgets: bool = True) -> str:
    """`LoRA`, `LoRA · 128 labels · seed 2`: what sets a run apart from its siblings."""
    if run.recipe is None:
        return run.name
    parts = [method(run.recipe.method)]
    if budgets and run.recipe.label_budget:
        parts.append(labels_in_words(run.recipe))
    if seeds and run.recipe.seed:
        parts.append(f"seed {run.recipe.seed}")
    return " · ".join(parts)


def names(runs: Sequence[Run]) -> dict[str, str]:
    """Run id -> a name that is unique among these runs; the run's own name comes in where the arm is not enough."""
    first = {run.id: short(run) for run in runs}
    seen = list(first.values())
    out: dict[str, str] = {}
    for run in runs:
        name = first[run.id] if seen.count(first[run.id]) == 1 else f"{first[run.id]} · {run.name}"
        out[run.id] = name if name not in out.values() else f"{name} ({run.id[:4]})"
    return out


def titled(runs: Sequence[Run], titles: Mapping[str | None, str]) -> dict[str, str]:
    """Run id -> a name that is unique among runs of several experiments, `LoRA (BBC News, MiniLM)`; plain within one.

    titles: experiment id -> its name.
    """
    experiments = dict.fromkeys(run.experiment for run in runs)
    if len(experiments) == 1:
        return names(runs)
    out: dict[str, str] = {}
    for experiment in experiments:
        for i, name in names([run for run in runs if run.experiment == experiment]).items():
            label = f"{name} ({titles[experiment]})" if experiment in titles else name
            out[i] = label if label not in out.values() else f"{label} {i[:4]}"
    return {run.id: out[run.id] for run in runs}
