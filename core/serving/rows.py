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
from core.training import attribution, cut, first_token, known_rows

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
    heard: list[tuple[int, int]] = []
    if loaded.speaks and goes_on:
        last = []
        for text in content:
            said = list[int]()
            last.append(list(speech.speak(loaded.model, text, drawing or Drawing(), so_far=Answer(), heard=said))[-1])
            heard.append((said[0], last[-1].read))
        answers = [{"answer": each.text, "ended": each.ended, "tokens": each.tokens} for each in last]
        digest = "".join(each.digest for each in last).encode()
        notes += [note for each in last for note in each.notes]
    elif content:
        outputs = loaded.model.outputs(list(content))
        answers = loaded.model.task.samples(outputs)
        notes += cut.note(cut.longer(loaded.model, content), loaded.model.recipe.max_length, of=len(content))
        digest = b"".join(value.tobytes() for _, value in sorted(outputs.items()))
    else:
        answers, digest = [], b""
    said_after = [str(each["answer"]) for each in answers] if loaded.speaks and goes_on else []
    near, placed = _nearest(loaded, content, nearest, said_after)
    rests_on, unexplained = _why(loaded, content, heard, report) if why else ((), [])
    notes += unexplained
    return Said(answers=answers, digest=hashlib.sha256(digest).hexdigest(), precision=loaded.model.precision,
                files=loaded.files, notes=tuple(notes), nearest=near, placed=placed,
                rests_on=rests_on)


def _nearest(loaded: Loaded, content: Sequence[str],
             most: int, said: Sequence[str]) -> tuple[tuple[Nearest, ...], tuple[Placed, ...]]:
    """said: of a language model, its answers, where the rows are prompts."""
    if not most or not content:
        return (), ()
    placed = list[Placed]()
    if said:
        seen = np.concatenate([speech.as_row(loaded.model, text, answer)[0]
                               for text, answer in zip(content, said, strict=True)])
    elif loaded.speaks:
        seen = np.concatenate([known_rows.row_sees(loaded.model, text) for text in content])
    else:
        seen = known_rows.head_sees(loaded.model, content)
    with contextlib.suppress(ThawError):  # a map is a thing to have, not what was asked for
        placed = rows_map.of(loaded.side, settings=loaded.settings).place(seen)
    return tuple(loaded.known_rows.nearest(known_rows.directions(seen), most=most)), tuple(placed)


def _why(loaded: Loaded, content: Sequence[str], heard: Sequence[tuple[int, int]],
         report: Callable[[str], None]) -> tuple[tuple[Attribution, ...], list[str]]:
    """(one a row, why there are none). heard: of language models, the first token of each answer and how many tokens
    of the prompt were read."""
    if loaded.speaks and not heard:
        raise RecipeError("These rows have no answer of which it can be said what it rests on.",
                          why="A language model judges the rows of a file, and answers a prompt only.",
                          remedy="Give a prompt, or leave out --why.")
    found = []
    for number, row in enumerate(content):
        if loaded.speaks:
            token, read = heard[number]
            pieces = first_token.pieces(loaded.model, speech.read(loaded.model, row).last(read), token)
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
