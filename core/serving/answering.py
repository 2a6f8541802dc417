"""What a loaded side makes of a question."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from core.analysis import rows_map
from core.data import new_rows
from core.domain.attribution import Attribution
from core.domain.dataset import Content
from core.domain.nearest import Nearest
from core.domain.side import Side
from core.errors import DataError, ThawError
from core.models.language import LanguageNetwork
from core.serving import proof, speech
from core.serving.question import Answer, Question, State, in_parts
from core.settings import Settings
from core.training import artifact, attribution, cut, known_rows
from core.training.artifact import LoadedModel
from core.training.known_rows import KnownRows

SHOWN_CHARACTERS = 400
"""Of a training row that is named."""


class Loaded:
    """A side in memory, and the files it came from."""

    def __init__(self, side: Side, settings: Settings, *, workspace: str = "") -> None:
        """Raises ThawErrors of `artifact.load`, and DataError where a file of it is damaged."""
        self.side, self.settings, self.workspace = side, settings, workspace
        self.files = proof.files_of(side, settings)
        try:
            self.model: LoadedModel = artifact.load(side, settings=settings)
        except (SafetensorError, json.JSONDecodeError) as error:
            raise DataError(f"The model in {side.folder.name}/artifact cannot be loaded.",
                            why=f"A file of it is damaged ({str(error)[:160]}).",
                            remedy="Restore the folder from a copy, or train the run again.") from error
        if isinstance(self.model.network, LanguageNetwork):  # nothing trains here: held as autocast would round it
            self.model.network.requires_grad_(False)
            self.model.network.settle()

    @property
    def size_bytes(self) -> int:
        network = self.model.network
        tensors = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())

    @functools.cached_property
    def known_rows(self) -> KnownRows:
        """The training rows as this model sees them: computed once, seconds to a minute. Raises NotFoundError where
        the dataset is gone."""
        key = [self.side.text, *(file.sha256 for file in self.files)]
        return known_rows.of(self.model, self.side.folder, key=key, settings=self.settings,
                             workspace=self.workspace)

    @property
    def speaks(self) -> bool:
        """Whether it is a language model."""
        return isinstance(self.model.network, LanguageNetwork)


def answer(loaded: Loaded, question: Question, at: int) -> Iterator[Answer]:
    """What the side at that place of the question says so far, again and again; the last is done."""
    so_far = Answer(state=State.WORKING, files=loaded.files, precision=loaded.model.precision)
    if loaded.speaks:
        yield from _spoken(loaded, question, question.text(at), so_far)
    else:
        yield from _classified(loaded, question, at, so_far)


def _spoken(loaded: Loaded, question: Question, prompt: str, so_far: Answer) -> Iterator[Answer]:
    """The answer as it comes; then, where that is asked for, what its first token rests on."""
    said = so_far
    for said in speech.speak(loaded.model, prompt, question.drawing, so_far=so_far):
        if not said.state.final:
            yield said
    if question.nearest or question.placed:
        yield replace(said, state=State.WORKING)
        said = _compared(loaded, question, prompt, said)
    if question.rests_on:
        pieces = speech.first_rests_on(loaded.model, prompt, said, check=question.randomised)
        yield from _rests_on(pieces, said)
    else:
        yield said


def _compared(loaded: Loaded, question: Question, prompt: str, said: Answer) -> Answer:
    """With the nearest training rows and the place on the map; the answer stays where these cannot be had."""
    seen, what = speech.as_row(loaded.model, prompt, said.text)
    said = replace(said, compared=what)
    if question.nearest:
        try:
            said = replace(said, nearest=_nearest(loaded, seen, question.nearest, question.workspace))
        except ThawError as error:
            said = replace(said, notes=(*said.notes, f"{error.what} {error.why} {error.remedy}"))
    return _placed(loaded, seen, said) if question.placed else said


def _classified(loaded: Loaded, question: Question, at: int, so_far: Answer) -> Iterator[Answer]:
    model, rows = loaded.model, None
    if model.task.card.content is Content.PICTURE:
        if not question.picture:
            raise new_rows.not_a_picture(question.text(at))
        rows = new_rows.read(Path(question.picture), task=model.task.card.task, text=None,
                             source=new_rows.source_of(loaded.side.folder, loaded.settings), settings=loaded.settings)
        content, notes = rows.content[:1], list(rows.notes)
    elif question.picture:
        raise DataError("This run reads texts, and a picture was given.",
                        remedy="Type a text, or choose a run that was trained on pictures.")
    else:
        content = [question.text(at)]
        notes = cut.note(cut.longer(model, content), model.recipe.max_length, of=1)
    outputs = model.outputs(content)
    digest = hashlib.sha256(b"".join(value.tobytes() for _, value in sorted(outputs.items()))).hexdigest()
    said: dict[str, Any] = model.task.samples(outputs)[0]
    seen = known_rows.head_sees(model, content) if question.nearest or question.placed else None
    answered = replace(so_far, state=State.DONE, label=said["label"], probabilities=said["probabilities"],
                       digest=digest, notes=tuple(notes))
    if seen is not None and question.nearest:
        answered = replace(answered, nearest=_nearest(loaded, seen, question.nearest, question.workspace))
    if seen is not None and question.placed:
        answered = _placed(loaded, seen, answered)
    if question.rests_on:
        yield from _rests_on(attribution.pieces(model, content[0], check=question.randomised), answered)
    else:
        yield answered


def _rests_on(pieces: Generator[float, None, Attribution], said: Answer) -> Iterator[Answer]:
    """The answer, seen while it is worked out what it rests on, then with that, or with a note why it cannot be said.
    A picture is there as long as its rows are, so all of it happens in here."""
    try:
        while True:
            yield replace(said, state=State.WORKING, progress=next(pieces))
    except StopIteration as end:
        yield replace(said, rests_on=end.value)
    except DataError as error:
        yield replace(said, notes=(*said.notes, f"{error.what} {error.why}"))
    finally:
        pieces.close()


def _nearest(loaded: Loaded, seen: NDArray[np.float32], most: int, workspace: str) -> Nearest:
    loaded.workspace = loaded.workspace or workspace
    found = loaded.known_rows.nearest(known_rows.directions(seen), most=most)[0]
    return replace(found, rows=tuple(row if row.picture else replace(row, content=row.content[:SHOWN_CHARACTERS])
                                     for row in found.rows))


def _placed(loaded: Loaded, seen: NDArray[np.float32], said: Answer) -> Answer:
    """The answer with the input's place on the map, or with why it has none."""
    try:
        return replace(said, placed=rows_map.of(loaded.side, settings=loaded.settings).place(seen)[0])
    except ThawError as error:
        return replace(said, unplaced=in_parts(error))
