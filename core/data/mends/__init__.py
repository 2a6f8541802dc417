"""The registry of mends: what a person can do about a finding. A new one is one file in this folder and one line
here."""

from __future__ import annotations

from importlib import import_module

from core.data.mends.mend import Meant, Mend, State, Step
from core.errors import DataError

FILES = (
    "merge_labels",
    "join_classes",
    "keep_this_label",
    "give_label",
    "use_suggested",
    "keep_label",
    "drop_classes",
    "drop_leaks",
    "move_leaks",
    "drop_repeats",
    "drop_rows",
    "take_off_shift",
)
"""Mends in the order in which they are carried out, whatever order they were chosen in: a file of that name each, with
its `MEND`. The first that answers a finding is what is offered first."""

REGISTRY: dict[str, Mend] = {mend.name: mend for mend in (import_module(f"{__name__}.{name}").MEND for name in FILES)}


def answers(code: str) -> tuple[Mend, ...]:
    """The mends that are an answer to a finding, the one to offer first in front."""
    return tuple(mend for mend in REGISTRY.values() if code in mend.answers)


def get(name: str) -> Mend:
    """The mend of that name. Raises DataError naming the known ones."""
    if name not in REGISTRY:
        raise DataError(f"There is no mend {name[:40]!r}.", why=f"There are: {', '.join(REGISTRY)}.",
                        remedy="Choose one of these.")
    return REGISTRY[name]


__all__ = ["REGISTRY", "Meant", "Mend", "State", "Step", "answers", "get"]
