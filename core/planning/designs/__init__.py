"""The registry of designs: questions that people ask, each with its arms and its sentence.

A new design is one file in this folder and one line here.
"""

from __future__ import annotations

from importlib import import_module

from core.errors import RecipeError
from core.planning.designs.base import Choices, Design

FILES = (
    "methods",
    "depth",
    "block",
    "labels",
    "four_bit",
    "rate",
    "shift",
    "base_models",
    "seeds",
)
"""Designs in the order in which they are offered: a file of that name each, with its `DESIGN`."""

REGISTRY: dict[str, Design] = {
    design.name: design for design in (import_module(f"{__name__}.{name}").DESIGN for name in FILES)}


def get(name: str) -> Design:
    """The design of that name; raises RecipeError naming the known ones."""
    if name not in REGISTRY:
        raise RecipeError(f"There is no design {name!r}.", why=f"Known designs: {', '.join(REGISTRY)}.",
                          remedy="Choose one of the known designs.")
    return REGISTRY[name]


__all__ = ["FILES", "REGISTRY", "Choices", "Design", "get"]
