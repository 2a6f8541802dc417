"""What a language model says, token by token: the same passes as `core.training.generate`, in pieces that others can
wait between."""

from __future__ import annotations

import hashlib
import inspect
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.data import conversations
from core.data.conversations import Turn
from core.domain.attribution import Attribution
from core.domain.dataset import Shape
from core.features.extract import autocast
from core.models import facts as model_facts
from core.models import language, tokens
from core.serving.question import Answer, Drawing, State
from core.tasks import teaching
from core.tasks.teaching import Prompt
from core.training import first_token, generate, known_rows
from core.training.artifact import LoadedModel

CHUNK = 256
"""Tokens of a prompt that are read in one piece of work."""
FEW = 16
"""Up to so many tokens, the products of a pass are too small to share between threads."""


def speak(model: LoadedModel, prompt: str, drawing: Drawing, *, so_far: Answer, shape: Shape | None = None,
          chunk: int = CHUNK) -> Iterator[Answer]:
    """What the model says to a prompt, or after a passage's beginning, one token more each time; the last is done.

    shape: of the prompt, where it is another than the model learned from. A prompt that does not fit with the answer
    into what the model reads is cut at its beginning, which is noted.
    """
    format = teaching.format_of(model.task.processor)
    whole = read(model, prompt, shape)
    given, notes = _fitting(list(whole.ids), drawing.most, _limit(model))
    answer = replace(so_far, notes=(*so_far.notes, *notes), precision=model.precision, read=len(given))
    yield answer
    passes, ends = _Passes(model.network, model.precision), generate.ends_of(format, model.network.causal)
    for start in range(0, len(given), chunk):
        logits = passes.read(given[start:start + chunk])
        yield answer
    chosen, digest, said, spent = _Chooser(drawing, passes.device), hashlib.sha256(), [], 0.0
    while True:
        digest.update(logits.cpu().numpy().tobytes())
        token = chosen.next(logits)
        ended = token in ends
        said += [] if ended else [token]
        done = ended or len(said) >= drawing.most
        text = model.task.processor.decode(said, skip_special_tokens=True)
        answer = replace(answer, text=text if done else text.rstrip("\ufffd"), tokens=len(said), ended=ended,
                         first=token if answer.first is None else answer.first,
                         tokens_a_second=(len(said) - 1) / spent if spent else None)
        if done:
            yield replace(answer, state=State.DONE, digest=digest.hexdigest())
            return
        yield answer
        began = time.perf_counter()
        logits = passes.read([token])
        spent += time.perf_counter() - began


def read(model: LoadedModel, prompt: str, shape: Shape | None = None) -> Prompt:
    """What a prompt is to the model; a padding token where it is nothing at all."""
    format = teaching.format_of(model.task.processor)
    learned: Shape = getattr(model.task, "shape", Shape.TEXT)
    found = teaching.prompt(format, prompt, shape or learned)
    return found if found.ids else Prompt(ids=(tokens.pad_id(format.tokenizer),), parts=("",), own=(False,))


def first_rests_on(model: LoadedModel, prompt: str, said: Answer, *,
                   check: bool = False) -> Generator[float, None, Attribution]:
    """What the first token of this answer rests on; see `first_token.pieces`."""
    assert said.first is not None, "an answer that is done has one"
    return first_token.pieces(model, read(model, prompt).last(said.read), said.first, check=check)


def as_row(model: LoadedModel, prompt: str, answer: str) -> tuple[NDArray[np.float32], str]:
    """(what the model makes of a prompt as it does of a training row, `(1, width)`; what was taken for one). A
    conversation is a row with its answer, the beginning of a passage is one by itself."""
    if getattr(model.task, "shape", Shape.TEXT) is Shape.CHAT:
        talk = conversations.dump([*teaching.asked(prompt), Turn(conversations.ASSISTANT, answer)])
        return known_rows.row_sees(model, talk), "the conversation with this model's own answer"
    return known_rows.row_sees(model, prompt, ends=False), "the prompt, without what this model says after it"


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Torch on so many threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _limit(model: LoadedModel) -> int:
    """Tokens that the model can read; 0 where it does not say."""
    found = model_facts.read(model.recipe.base_model, model.settings)
    return found.max_length if found else 0


def _fitting(ids: list[int], most: int, limit: int) -> tuple[list[int], list[str]]:
    room = max(1, limit - most) if limit else len(ids)
    if len(ids) <= room:
        return ids, []
    return ids[-room:], [f"The prompt has {len(ids):,} tokens; the model reads at most {limit:,} with its answer, so "
                         f"only the last {room:,} were used."]


@dataclass
class _Passes:
    """Passes through a language model, which keeps what it has read where its architecture lets it."""

    network: Any
    precision: str

    def __post_init__(self) -> None:
        self.device = self.network.device
        self._causal, self._kept = self.network.causal, None
        self._seen: list[int] = []
        known = inspect.signature(self._causal.forward).parameters
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
        self._memory = language.memory_name(self._causal)
        self._keeps = True

    def read(self, ids: Sequence[int]) -> torch.Tensor:
        """(n_vocabulary,) fp32: what the model makes likely after these tokens more."""
        self._seen += list(ids)
        new = list(ids) if self._keeps else self._seen
        given = torch.tensor([new], device=self.device)
        mask = torch.ones((1, len(self._seen)), dtype=torch.long, device=self.device)
        threads = _threads(1 if len(new) <= FEW else torch.get_num_threads())
        with torch.no_grad(), autocast(self.precision, self.device), threads:
            said = self._causal(input_ids=given, attention_mask=mask, use_cache=self._keeps,
                                **{self._memory: self._kept}, **self._last_only)
        self._kept = getattr(said, self._memory, None)
        self._keeps = self._keeps and self._kept is not None     # else everything is read again each time
        return said.logits[0, -1].float()  # type: ignore[no-any-return]


class _Chooser:
    """Chooses tokens: the likeliest, or by chance with a random state of its own."""

    def __init__(self, drawing: Drawing, device: torch.device) -> None:
        self._drawing = drawing
        self._random = torch.Generator(device=device).manual_seed(drawing.seed)

    def next(self, logits: torch.Tensor) -> int:
        """logits: (n_vocabulary,)."""
        if not self._drawing.temperature:
            return int(logits.argmax())
        likely = torch.softmax(logits / self._drawing.temperature, dim=-1)
        if self._drawing.top_p < 1:
            ordered, places = likely.sort(descending=True, stable=True)
            beyond = ordered.cumsum(0) - ordered >= self._drawing.top_p   # the first is always kept
            likely = likely.clone()
            likely[places[beyond]] = 0
        return int(torch.multinomial(likely, 1, generator=self._random))
