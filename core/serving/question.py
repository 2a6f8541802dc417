"""What is asked of models, and what they answer, as it travels between the pages and the model server. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.data import labels
from core.domain.attribution import Attribution
from core.domain.nearest import Nearest
from core.domain.placed import Placed
from core.domain.side import Side
from core.domain.strength import Dial, HeadRule
from core.errors import DataError, FailureKind, RecipeError, ThawError

MOST_SIDES = 4
MOST_CHARACTERS = 200_000
"""Of a text; a longer one is refused: the models here read a few thousand tokens at most."""
MOST_TOKENS = 1024
"""Of an answer."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How a language model's next token is chosen, the same for all sides."""

    temperature: float = 0.0
    """0 takes the likeliest token each time."""
    top_p: float = 1.0
    """Draws among the likeliest tokens that have this probability together (Holtzman et al. 2020)."""
    most: int = 128
    """Tokens at most."""
    seed: int = 0

    def check(self) -> None:
        """Raises RecipeError, naming what is out of bounds."""
        bounds = {"temperature": (self.temperature, 0.0, 5.0), "top-p": (self.top_p, 0.01, 1.0),
                  "length": (self.most, 1, MOST_TOKENS), "seed": (self.seed, 0, 2**32 - 1)}
        for name, (value, low, high) in bounds.items():
            if not low <= value <= high:  # also where it is no number
                raise RecipeError(f"The {name} {value:g} cannot be used.",
                                  why=f"It must lie between {low:g} and {high:g}.", remedy=f"Choose another {name}.")


@dataclass(frozen=True, kw_only=True)
class Turnable(Side):
    """The model of a run, held with its dials and the rows that they are judged on."""

    workspace: str = ""
    """Of its dataset."""
    blocks: tuple[str, ...] = ()
    """Those that are turned: what lies below is computed once."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting of a run's dials that is to be measured."""

    side: Turnable
    dial: Dial
    head: HeadRule
    value: float
    visitor: str = ""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One input for up to four sides."""

    sides: tuple[Side, ...]
    """Each names its run by the folder."""
    visitor: str = ""
    """Who asks: visitors take turns."""
    texts: tuple[str, ...] = ()
    """One for all sides, or one a side (conversations go on differently); empty for a picture."""
    picture: str = ""
    """Path of the picture."""
    drawing: Drawing = Drawing()
    nearest: int = 0
    """So many of the training rows nearest to it are named."""
    workspace: str = ""
    """Of their dataset, where a run's folder does not tell."""
    rests_on: bool = False
    """Whether each says what its answer (of a language model its first token) rests on."""
    randomised: bool = False
    """Then also under randomised weights."""
    placed: bool = False
    """Whether each says where the input lies on the map of its run's rows."""

    def text(self, at: int) -> str:
        """What the side at that place is given."""
        return self.texts[at if len(self.texts) > 1 else 0]

    def check(self) -> None:
        """Raises a ThawError for what no model can answer."""
        self.drawing.check()
        if not 1 <= len(self.sides) <= MOST_SIDES or len(self.texts) not in (0, 1, len(self.sides)):
            raise RecipeError(f"{len(self.sides)} models cannot be asked together.",
                              why=f"At least one and at most {MOST_SIDES} can.", remedy="Choose other models.")
        if self.picture:
            return
        for text in self.texts or ("",):
            check_text(text)


def check_text(text: str) -> None:
    """Raises DataError for an empty text, for one that is far too long, and for one that is no Unicode."""
    check_filled(text)
    check_readable(text)
    if len(text) > MOST_CHARACTERS:
        raise DataError(f"This text has {len(text):,} characters, more than the limit of {MOST_CHARACTERS:,}.",
                        why="A model reads only the first few hundred or thousand words, however long a text is.",
                        remedy="Shorten it, or predict it as a row of a file.")


def check_filled(text: str) -> None:
    """Raises DataError for a text without any character that is seen."""
    if not labels.clean(text):
        why = "It holds only blanks or characters that cannot be seen." if text else "The input is empty."
        raise DataError("There is nothing to try.", why=why, remedy="Type or paste a text first.")


def check_readable(text: str) -> None:
    """Raises DataError for a text with half of a surrogate pair, as bytes that are no UTF-8 become: no model reads it.
    """
    at = next((at for at, character in enumerate(text) if "\ud800" <= character <= "\udfff"), None)
    if at is not None:
        raise DataError("This text cannot be read.", why=f"Its character {at + 1:,} is no whole one (U+"
                        f"{ord(text[at]):04X}): the text was cut inside of a character, or is not in UTF-8.",
                        remedy="Copy the text again, or give it as a file.")


class State(StrEnum):
    """How far a side is with its answer."""

    WAITING = "waiting"
    LOADING = "loading"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def final(self) -> bool:
        return self in (State.DONE, State.FAILED, State.STOPPED)


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """A file that a side's weights were read from."""

    name: str
    """Of the run's own: `artifact/…`; of the base model's: its id and the file."""
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one side says, so far or in the end."""

    state: State = State.WAITING
    label: str = ""
    probabilities: dict[str, float] | None = None
    """Class -> probability; None of language models."""
    text: str = ""
    """What a language model said so far."""
    tokens: int = 0
    first: int | None = None
    """Id of the first token that it said, be it the one that ends an answer."""
    read: int = 0
    """Tokens of the prompt that a language model read."""
    ended: bool = False
    """Whether it stopped by itself."""
    tokens_a_second: float | None = None
    """Of the tokens it said, in its own time of computing."""
    digest: str = ""
    """SHA-256 over the bytes of its raw outputs (logits): equal ones are the same to the last bit."""
    precision: str = ""
    files: tuple[WeightFile, ...] = ()
    notes: tuple[str, ...] = ()
    nearest: Nearest | None = None
    """What its training rows say of the input, where that was asked for."""
    rests_on: Attribution | None = None
    """What it rests on, where that was asked for."""
    progress: float | None = None
    """Share of that which is worked out, 0 to 1, meanwhile."""
    compared: str = ""
    """Of language models, what was compared with the training rows and placed on the map."""
    placed: Placed | None = None
    """Where the input lies on the map of the run's rows, where that was asked for."""
    unplaced: dict[str, str] | None = None
    """Why that cannot be said, in the parts of `error`."""
    error: dict[str, str] | None = None
    """{"what", "why", "remedy", "kind"} of one that failed."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Where a question is: one answer a side."""

    answers: tuple[Answer, ...]
    place: int = 0
    """In the line, 1 = next; 0 once it is being answered."""

    @property
    def final(self) -> bool:
        return all(answer.state.final for answer in self.answers)


def same(answers: Sequence[Answer]) -> list[list[int]]:
    """Groups of places whose raw outputs are the same to the last bit, of two or more."""
    groups: dict[str, list[int]] = {}
    for at, answer in enumerate(answers):
        if answer.state is State.DONE and answer.digest:
            groups.setdefault(answer.digest, []).append(at)
    return [group for group in groups.values() if len(group) > 1]


def in_parts(error: ThawError) -> dict[str, str]:
    """An error as it travels."""
    return {"what": error.what, "why": error.why, "remedy": error.remedy, "kind": error.kind.value}


def from_parts(parts: dict[str, str]) -> ThawError:
    """The inverse of `in_parts`."""
    return ThawError(parts["what"], why=parts["why"], remedy=parts["remedy"], kind=FailureKind(parts["kind"]))
