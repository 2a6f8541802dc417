"""Which method applies to which family of base models, task, way of holding weights and export: probed, stored, drawn.

`python -m tests.capabilities [FAMILY ...]` inspects the tiny models of `tests.families` (all, or those named), writes
what was found to docs/methods.json and draws docs/methods.md from it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from core.domain.dataset import Content, Task
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.export import FORMATS
from core.models import methods
from core.models.inspect import inspect_model
from core.planning import recipes
from core.settings import Settings
from tests import families

DOCS = Path(__file__).resolve().parents[1] / "docs"
STORED, PAGE = DOCS / "methods.json", DOCS / "methods.md"
LANGUAGE = Task.on(Content.TEXT, labelled=False)
HEADING = """# Which method applies where

Probed, not promised: every family below is a tiny random model that Thaw inspects as it inspects yours, one training
step of each kind of method included; `python -m tests.capabilities` makes this page and `methods.json` anew, and a test
holds both to what inspection says. The Train page asks the same of your own model and says why a method does not apply.
What each method does stands in the [README](../README.md#what-is-inside), how to write one in
[adding](adding.md#a-method). All of it runs on a CPU.

## Methods

| method | classifiers | language models | base weights | leaves | merged | as a script | follows the freeze grid |
|---|---|---|---|---|---|---|---|
"""


def of_method(name: str) -> dict[str, Any]:
    """What a method says of itself, whatever the model."""
    card = methods.card_of(name)
    made = Recipe(dataset="d", base_model="m", method=name)
    return {"classifiers": recipes.why_not(name, None, None, Task.on(Content.TEXT)) or "yes",
            "language_models": recipes.why_not(name, None, None, LANGUAGE) or "yes",
            "weights": str(card.weights),
            "leaves": "a head" if card.solved else "an adapter" if card.adapter else "changed weights",
            "merged": FORMATS["merged"].applies_to(made, None) or "yes",
            "script": FORMATS["script"].applies_to(made, None) or "yes",
            "freeze_grid": card.needs_freeze_plan}


def of_family(facts: ModelFacts) -> dict[str, Any]:
    """What inspection found of a model: its tasks, and the methods that do not apply with the reason."""
    refused = {name: reason for name, method in methods.REGISTRY.items() if (reason := method.applies_to(facts))}
    return {"architecture": facts.architecture, "tasks": [str(task) for task in facts.tasks], "refused": refused}


def stored() -> dict[str, Any]:
    return dict(json.loads(STORED.read_text(encoding="utf-8")))


def probe(name: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        place = Settings(home=Path(folder) / "home", hub=False)
        return of_family(inspect_model(str(families.make(name, Path(folder) / name)), settings=place))


def drawn(known: dict[str, Any]) -> str:
    """docs/methods.md."""
    lines = [f"| `{name}` | {_brief(says['classifiers'])} | {_brief(says['language_models'])} | {says['weights']} | "
             f"{says['leaves']} | {_brief(says['merged'])} | {_brief(says['script'])} | "
             f"{'yes' if says['freeze_grid'] else 'no'} |"
             for name, says in known["methods"].items()]
    every = [name for name, says in known["families"].items() if not says["refused"]]
    text = HEADING + "\n".join(lines) + "\n\n## Families\n\n"
    text += f"Every method applies to {len(every)} of {len(known['families'])} families: {', '.join(every)}.\n\n"
    speaks = [name for name, says in known["families"].items() if str(LANGUAGE) in says["tasks"]]
    text += ("Also language models, as their output layer is saved with them (the others are read as classifiers): "
             f"{', '.join(speaks)}.\n\nWhere something is left out:\n\n| family | left out | why |\n|---|---|---|\n")
    for name, says in known["families"].items():
        by_reason: dict[str, list[str]] = {}
        for method, reason in says["refused"].items():
            by_reason.setdefault(reason, []).append(f"`{method}`")
        text += "".join(f"| {name} ({says['architecture']}) | {', '.join(left)} | {reason.replace('|', '/')} |\n"
                        for reason, left in by_reason.items())
    return text


def _brief(said: str) -> str:
    return said if said == "yes" else f"no: {said[0].lower()}{said[1:].rstrip('.')}"


def write(found: dict[str, Any]) -> None:
    known = {"methods": {name: of_method(name) for name in methods.REGISTRY},
             "families": dict(sorted(((stored()["families"] if STORED.is_file() else {}) | found).items()))}
    STORED.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(drawn(known), encoding="utf-8")


if __name__ == "__main__":
    for family in sys.argv[1:] or sorted(families.FAMILIES):
        found = probe(family)
        sys.stderr.write(f"{family}: {', '.join(found['refused']) or 'every method'}\n")
        write({family: found})
