"""The registry of methods. A new method is one file in this folder and one line here."""

from __future__ import annotations

from importlib import import_module

from core.domain.dataset import Content, Task
from core.errors import RecipeError
from core.models.methods.base import NO_CLASSES, NO_NEW_HEAD, NO_OWN_HEAD, Adapter, Card, Method

FILES = (
    "probe",
    "partial",
    "full",
    "lp_ft",
    "gradual_unfreezing",
    "wise_ft",
    "l2_sp",
    "contrastive",
    "bitfit",
    "lora",
    "lora_mlp",
    "kl_to_base",
    "replay",
    "dora",
    "rslora",
    "ia3",
    "oft",
    "shira",
    "miss",
    "osf",
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
COMPARED_OWN_HEAD = ("lora", "partial", "full")
"""The same of language models, whose untouched model is measured beside every run."""
UNDER_SHIFT = ("probe", "lp_ft", "wise_ft", "lora", "full")
"""Methods that move the features by nothing, little and much, and one that goes halfway back."""
FROZEN, PLANNED, WHOLE, FRESH = "probe", "partial", "full", "scratch"
"""Nothing of the body trains; what a freeze plan leaves open; everything; everything, from random weights."""
SIXTEEN_BIT, FOUR_BIT = "lora", "qlora"
"""The same adapters on weights held in 16 and in 4 bits."""
HEAD_FIRST, HALFWAY = "lp_ft", "wise_ft"
"""A probe before everything trains; everything, and halfway back."""


def get(name: str) -> Method:
    """The method of that name; raises RecipeError naming the known ones."""
    if name not in REGISTRY:
        raise RecipeError(f"There is no method {name!r}.", why=f"Known methods: {', '.join(REGISTRY)}.",
                          remedy="Choose one of the known methods.")
    return REGISTRY[name]


def card_of(name: str) -> Card:
    """What the method of that name says of itself; raises RecipeError naming the known ones."""
    return get(name).card


__all__ = ["COMPARED", "COMPARED_OWN_HEAD", "FOUR_BIT", "FRESH", "FROZEN", "HALFWAY", "HEAD_FIRST", "HOME",
           "NO_CLASSES", "NO_NEW_HEAD", "NO_OWN_HEAD", "PLANNED", "REGISTRY", "SIXTEEN_BIT", "UNDER_SHIFT", "WHOLE",
           "Adapter", "Card", "Method", "card_of", "get"]
