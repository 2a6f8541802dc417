"""What a format of export must say and do."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.models import facts as facts_module

if TYPE_CHECKING:
    from core.export.finished import Finished

HEAD = "head.safetensors"
"""The head of a classifier: a file of its own in the forms that Thaw itself reads."""
HEAD_SAID = f"The head is a file of its own, {HEAD}; "
EXACT, CLOSE = 2e-5, 1e-4
"""Largest differences of a log-probability that rounding in 32 bits explains, measured: where the same products are
summed in the same order, and where they are folded or computed by another runtime."""


class Format(Protocol):
    """One file a format; `FORMATS` names them all. Importing one needs no torch."""

    name: str
    """As the command line calls it: `--as NAME`."""
    summary: str
    """In a phrase, for the help text and the page."""
    tolerance: float | None
    """Largest difference of a log-probability (of language models: of the loss a token) from the run's own network,
    both computed in 32 bits, with which its certificate passes. None: a document, which has no certificate."""

    def applies_to(self, recipe: Recipe, facts: ModelFacts | None) -> str | None:
        """Why a run cannot be written so, as a sentence; None where it can. Asked by pages: no torch, nothing read."""

    def size_bytes(self, recipe: Recipe, facts: ModelFacts, artifact_bytes: int) -> int:
        """About how large the folder will be, and what it takes to write it."""

    def write(self, run: Finished, target: Path) -> dict[str, Any]:
        """Write a finished run's model into the folder `target`, which is there and empty.

        Returns {"notes": what its user should know, a sentence each}, and what else a program should know of the files.

        Raises ThawError when the run cannot be written so.
        """


def whole_bytes(facts: ModelFacts) -> int:
    """Of all weights in 32 bits, with some room for tokenizer and papers."""
    return 4 * facts.parameters + 20_000_000


def missing(packages: Iterable[str]) -> str | None:
    """What to say where packages that a format needs are not installed."""
    gone = [name for name in packages if importlib.util.find_spec(name) is None]
    if not gone:
        return None
    return f"It needs what is not installed here: pip install {' '.join(gone)}."


def base_of(about: dict[str, Any]) -> str:
    """The base model and its revision, as a read-me names them."""
    revision = about["base_model_revision"]
    return f"`{about['base_model']}`" + (f", revision `{revision}`" if revision else "")


def copy_recipe(run: Finished, target: Path) -> None:
    """How it was trained; a base model that lies in a folder by that folder's name alone."""
    recipe = run.recipe.to_json()
    if facts_module.is_local(run.recipe.base_model):
        recipe["base_model"] = run.base_hub_id
    write(target / "recipe.json", json.dumps(recipe, indent=2, ensure_ascii=False))


def write(path: Path, text: str) -> None:
    """A small file of the exported folder."""
    path.write_text(text, encoding="utf-8")
