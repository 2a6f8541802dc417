"""What a side says of many rows: for commands, in their own process."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.analysis import rows_map
from core.domain.attribution import Attribution
from core.domain.nearest import Nearest
from core.domain.placed import Placed
from core.domain.side import Side
from core.errors import DataError, RecipeError, ThawError
from core.serving import speech
from core.serving.answering import Loaded
from core.serving.question import Answer, Drawing, WeightFile
from core.settings import Settings
from core.training import attribution, cut, known_rows

MOST_WHY = 20
"""Rows of which it is worked out together what their answers rest on."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one side says of rows."""

    answers: list[dict[str, Any]]
    """One a row, in words: `label` and `probabilities`; of language models what a row costs, or what they go on with
    (`answer`, `ended`, `tokens`)."""
    digest: str
    """SHA-256 over the raw outputs of all rows."""
    precision: str
    files: tuple[WeightFile, ...]
    notes: tuple[str, ...]
    """What was cut."""
    nearest: tuple[Nearest, ...] = ()
    """What the training rows say of each row, where that was asked for."""
    placed: tuple[Placed, ...] = ()
    """Then also where each lies on the map of the run's rows, where that has been made."""
    rests_on: tuple[Attribution, ...] = ()
    """What each answer rests on, where that was asked for and can be said."""


def of(side: Side, content: Sequence[str], settings: Settings, *, goes_on: bool = False,
       drawing: Drawing | None = None, nearest: int = 0, why: bool = False, workspace: str = "",
       report: Callable[[str], None] = lambda text: None) -> Said:
    """Load a side and let it answer. goes_on: language models go on with each row instead of judging it. nearest: so
    many training rows are named for each row; why: what the answer to each rests on.
    workspace: of their dataset, where the folder does not tell. report: hears how far it is. Raises RecipeError for
    what is not offered, and for why of more than 20 rows.
    """
    if why and len(content) > MOST_WHY:
        raise RecipeError(f"What {len(content):,} answers rest on is too much at once.",
                          why=f"Each takes seconds, so at most {MOST_WHY} rows are explained together.",
                          remedy="Give a text, a picture, or a file with fewer rows.")
    loaded, notes = Loaded(side, settings, workspace=workspace), list[str]()
    spoken: list[Answer] = []
    if loaded.speaks and goes_on:
        spoken = [list(speech.speak(loaded.model, text, drawing or Drawing(), so_far=Answer()))[-1] for text in content]
        answers = [{"answer": each.text, "ended": each.ended, "tokens": each.tokens} for each in spoken]
        digest = "".join(each.digest for each in spoken).encode()
        notes += [note for each in spoken for note in each.notes]
    elif content:
        outputs = loaded.model.outputs(list(content))
        answers = loaded.model.task.samples(outputs)
        notes += cut.note(cut.longer(loaded.model, content), loaded.model.recipe.max_length, of=len(content))
        digest = b"".join(value.tobytes() for _, value in sorted(outputs.items()))
    else:
        answers, digest = [], b""
    near, placed, compared = _nearest(loaded, content, nearest, spoken)
    rests_on, unexplained = _why(loaded, content, spoken, report) if why else ((), [])
    notes += [*compared, *unexplained]
    return Said(answers=answers, digest=hashlib.sha256(digest).hexdigest(), precision=loaded.model.precision,
                files=loaded.files, notes=tuple(notes), nearest=near, placed=placed,
                rests_on=rests_on)


def _nearest(loaded: Loaded, content: Sequence[str],
             most: int, spoken: Sequence[Answer]) -> tuple[tuple[Nearest, ...], tuple[Placed, ...], list[str]]:
    """(rows, places, what was compared where that is not the row itself). spoken: of a language model, its answers,
    where the rows are prompts."""
    if not most or not content:
        return (), (), []
    placed, compared = list[Placed](), list[str]()
    if spoken:
        found = [speech.as_row(loaded.model, text, answer.text) for text, answer in zip(content, spoken, strict=True)]
        seen = np.concatenate([features for features, _ in found])
        compared = [f"Compared with the training rows: {what}." for what in dict.fromkeys(what for _, what in found)]
    elif loaded.speaks:
        seen = np.concatenate([known_rows.row_sees(loaded.model, text) for text in content])
    else:
        seen = known_rows.head_sees(loaded.model, content)
    with contextlib.suppress(ThawError):  # a map is a thing to have, not what was asked for
        placed = rows_map.of(loaded.side, settings=loaded.settings).place(seen)
    return tuple(loaded.known_rows.nearest(known_rows.directions(seen), most=most)), tuple(placed), compared


def _why(loaded: Loaded, content: Sequence[str], spoken: Sequence[Answer],
         report: Callable[[str], None]) -> tuple[tuple[Attribution, ...], list[str]]:
    """(one a row, why there are none). spoken: of language models, the answers."""
    if loaded.speaks and not spoken:
        raise RecipeError("These rows have no answer of which it can be said what it rests on.",
                          why="A language model judges the rows of a file, and answers a prompt only.",
                          remedy="Give a prompt, or leave out --why.")
    found = []
    for number, row in enumerate(content):
        if loaded.speaks:
            pieces = speech.first_rests_on(loaded.model, row, spoken[number])
        else:
            pieces = attribution.pieces(loaded.model, row)
        try:
            while True:
                report(f"what the answer rests on: {next(pieces):.0%}, row {number + 1} of {len(content)}")
        except StopIteration as end:
            found.append(end.value)
        except DataError as error:  # of the model, not of the row
            return (), [f"{error.what} {error.why}"]
    return tuple(found), []
