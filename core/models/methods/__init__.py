"""The registry of methods. A new method is one file in this folder and one line here."""

from __future__ import annotations

from core.errors import RecipeError
from core.models.methods.base import Card, Method
from core.models.methods.full import Full
from core.models.methods.lora import Lora
from core.models.methods.lp_ft import LpFt
from core.models.methods.partial import Partial
from core.models.methods.probe import Probe
from core.models.methods.qlora import Qlora
from core.models.methods.scratch import Scratch

REGISTRY: dict[str, Method] = {
    "probe": Probe(),
    "partial": Partial(),
    "full": Full(),
    "lp_ft": LpFt(),
    "lora": Lora(),
    "qlora": Qlora(),
    "scratch": Scratch(),
}


def get(name: str) -> Method:
    """The method of that name; raises RecipeError naming the known ones."""
    if name not in REGISTRY:
        raise RecipeError(f"There is no method {name!r}.", why=f"Known methods: {', '.join(REGISTRY)}.",
                          remedy="Choose one of the known methods.")
    return REGISTRY[name]


__all__ = ["REGISTRY", "Card", "Method", "get"]
