"""Models as a command names them: the folder of a run, and which of its models. No torch."""

from __future__ import annotations

from pathlib import Path

from core.domain.side import Side, Which
from core.errors import NotFoundError

NAMES = {"tuned": Which.FINAL, "base": Which.BASE, "4bit": Which.FOUR_BIT}
"""As they are typed -> the model."""


def parse(text: str, *, which: Which = Which.FINAL) -> Side:
    """`RUN`, `RUN:base`, `RUN:4bit`, `RUN:tuned`. which: of a text that names none.

    Raises NotFoundError where the folder is none of a run.
    """
    folder, _, name = text.rpartition(":")
    if name in NAMES and folder and not Path(text).expanduser().exists():
        return Side.of(run_folder(folder), NAMES[name])
    return Side.of(run_folder(text), which)


def spoken(side: Side) -> str:
    """The inverse of `NAMES`, with the strength of a change that is turned up or down."""
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
