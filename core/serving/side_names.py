"""Models as a command names them: the folder of a run, and which of its models. No torch."""

from __future__ import annotations

import re
from pathlib import Path

from core.domain.side import Side, Which
from core.errors import NotFoundError

NAMES = {"tuned": Which.FINAL, "base": Which.BASE, "4bit": Which.FOUR_BIT}
"""As they are typed -> the model."""


def parse(text: str, *, which: Which = Which.FINAL) -> Side:
    """`RUN`, `RUN:base`, `RUN:4bit`, `RUN:tuned`; `RUN:step40` at a step whose weights are kept; `RUN@0.75` or
    `RUN@NAME` at a strength or a saved setting. which: of a text that names none.

    Raises NotFoundError where the folder is none of a run.
    """
    if Path(text).expanduser().exists():
        return Side.of(run_folder(text), which)
    folder, _, name = text.rpartition(":")
    if name in NAMES and folder:
        return Side.of(run_folder(folder), NAMES[name])
    if folder and (step := re.fullmatch(r"step(\d+)", name)):
        return Side.of(run_folder(folder), Which.STEP, int(step[1]))
    folder, _, strength = text.rpartition("@")
    if folder and Path(folder).expanduser().exists():
        return Side.of(run_folder(folder)).turned(strength)
    return Side.of(run_folder(text), which)


def spoken(side: Side) -> str:
    """The inverse of `NAMES`, with the strength of a change that is turned up or down."""
    if side.which is Which.STEP:
        return f"step{side.step}"
    name = next(name for name, which in NAMES.items() if which is side.which)
    return name if side.as_trained else f"{name} at strength {side.point or f'{side.strength:g}'}"


def run_folder(text: str) -> Path:
    """The absolute folder of a run; NotFoundError when it is none."""
    folder = Path(text).expanduser().absolute()
    if not (folder / "recipe.json").is_file():
        raise NotFoundError(f"{folder} is not the folder of a run.", why="It has no recipe.json.",
                            remedy="Name a folder that `compare --out` wrote, or one under workspaces/…/runs of "
                                   "the data folder.")
    return folder
