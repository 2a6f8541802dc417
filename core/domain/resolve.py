"""What a recipe leaves to the device, decided once: number format and optimiser; and what a device cannot do."""

from __future__ import annotations

import importlib.util

from core.domain.device import Device
from core.domain.recipe import ADAMW, PAGED_ADAMW, Recipe
from core.errors import RecipeError

AUTO = "auto"


def is_open(recipe: Recipe) -> bool:
    """Whether the recipe leaves anything to the device."""
    return AUTO in (recipe.precision, recipe.optimizer)


def precision(recipe: Recipe, device: Device) -> str:
    """`fp32`, `bf16` or `fp16`: what the recipe asks for, or what the device was measured to do faster."""
    return device.precision if recipe.precision == AUTO else recipe.precision


def optimizer(recipe: Recipe, device: Device) -> str:
    """`adamw` or `paged_adamw_8bit`: what the recipe asks for, or what QLoRA recipes without this field meant."""
    if recipe.optimizer != AUTO:
        return recipe.optimizer
    return PAGED_ADAMW if device.kind == "cuda" else ADAMW


def resolved(recipe: Recipe, device: Device | None) -> Recipe:
    """The same recipe with nothing left to the device; as it is while the device is not known.

    Done at submit (or when the first run of an experiment starts), so that resuming, another day's measurement or
    another machine do not change what the runs compute in.
    """
    if device is None or not is_open(recipe):
        return recipe
    return recipe.replace(precision=precision(recipe, device), optimizer=optimizer(recipe, device))


def check(recipe: Recipe, device: Device) -> None:
    """Raise RecipeError for a number format or an optimiser that this device does not have."""
    if precision(recipe, device) == "fp16" and device.kind == "cpu":
        raise RecipeError("fp16 is not available on a CPU.", why="torch trains in fp16 on GPUs only.",
                          remedy="Choose auto, fp32 or bf16.")
    if optimizer(recipe, device) != PAGED_ADAMW:
        return
    if device.kind != "cuda":
        raise RecipeError("The paged 8-bit optimiser is not available on a CPU.",
                          why="It moves its state between GPU and main memory.",
                          remedy="Choose the optimiser adamw, or run on a machine with an NVIDIA GPU.")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise RecipeError("The paged 8-bit optimiser is not available here.",
                          why="The package bitsandbytes is not installed.",
                          remedy="Choose the optimiser adamw, or install bitsandbytes.")
