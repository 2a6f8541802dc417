"""The registry of methods. A new method is one file in this folder and one line here."""

from __future__ import annotations

from importlib import import_module

from core.domain.dataset import Content, Task
from core.errors import RecipeError
from core.models.methods.base import NO_NEW_HEAD, Adapter, Card, Method

FILES = (
    "probe",
    "partial",
    "full",
    "lp_ft",
    "lora",
    "dora",
    "qlora",
    "scratch",
)
"""Methods in the order in which they are offered: a file of that name each, with its `METHOD`."""

REGISTRY: dict[str, Method] = {name: import_module(f"{__name__}.{name}").METHOD for name in FILES}

HOME = {
    Task.on(Content.TEXT): ("probe", "partial", "lora", "qlora", "full", "scratch"),
    Task.on(Content.PICTURE): ("probe", "partial", "lora", "full", "scratch"),
    Task.on(Content.TEXT, labelled=False): ("lora", "partial", "qlora"),
}
"""What the home page compares; of language models the first alone unless more are asked for (what they began with is
measured beside every run)."""
COMPARED = ("probe", "lora", "full")
"""What the command line compares unless it is told."""


def get(name: str) -> Method:
    """The method of that name; raises RecipeError naming the known ones."""
    if name not in REGISTRY:
        raise RecipeError(f"There is no method {name!r}.", why=f"Known methods: {', '.join(REGISTRY)}.",
                          remedy="Choose one of the known methods.")
    return REGISTRY[name]


def card_of(name: str) -> Card:
    """What the method of that name says of itself; raises RecipeError naming the known ones."""
    return get(name).card


__all__ = ["COMPARED", "HOME", "NO_NEW_HEAD", "REGISTRY", "Adapter", "Card", "Method", "card_of", "get"]
