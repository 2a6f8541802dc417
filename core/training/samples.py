"""What a language model says to a few fixed prompts while it is trained: the same prompts and seeds in every arm.

One line a recorded step in `samples.jsonl` of the run folder: {step, answers: [{prompt, text, seed, ended}]}; step 0 is
where the run starts. Training is not touched by it: the random state is left as it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from core import cache, files
from core.analysis.samples import UNTOUCHED
from core.data import conversations
from core.data.conversations import Turn
from core.domain.dataset import Shape, Split
from core.domain.model import Weights
from core.models.language import LanguageNetwork
from core.tasks import teaching
from core.training import generate
from core.training.session import Session

OPENINGS = ("Once upon a time, in a small house at the edge of the wood, there lived",
            "The company said on Tuesday that it", "To make a good cup of tea, first")
"""Beginnings for models of passages."""
QUESTION = "What is the capital of France?"
"""For models of conversations: what they knew before."""
OWN_ROWS = {Shape.TEXT: 1, Shape.CHAT: 3}
"""Prompts from the test rows."""
OPENING_WORDS = 12
"""Of a test passage, what is given."""
MOST_TOKENS = {"quick": 24}
DEFAULT_MOST_TOKENS = 40
MOST_PROMPTS = {"quick": 3}
"""Bundled ones; those of the recipe are all asked."""
TEMPERATURE, TOP_P = 0.8, 0.95
SEED = 1
"""Of the one answer a prompt that is drawn; the other is the likeliest token each time (seed null)."""


def prompts(session: Session) -> list[str]:
    """What is asked: bundled prompts, beginnings of test rows, then the recipe's own."""
    own = _own_rows(session)
    bundled = [*own, *OPENINGS] if session.rows.shape is Shape.TEXT else [
        conversations.dump([Turn(conversations.USER, QUESTION)]), *own]
    most = MOST_PROMPTS.get(session.recipe.effort, len(bundled))
    return list(dict.fromkeys([*bundled[:most], *session.recipe.sample_prompts]))


def _own_rows(session: Session) -> list[str]:
    found: list[str] = []
    for row in session.rows.of(Split.TEST)[:OWN_ROWS[session.rows.shape] * 4]:
        text = session.rows.content[row]
        if session.rows.shape is Shape.TEXT:
            prompt = " ".join(text.split()[:OPENING_WORDS])
        else:
            prompt = _asked(text)
        found += [prompt] if prompt else []
    return list(dict.fromkeys(found))[:OWN_ROWS[session.rows.shape]]


def _asked(text: str) -> str:
    """A conversation up to its last answer; empty where nobody asks anything."""
    try:
        turns = list(conversations.load(text))
    except (ValueError, RecursionError):
        return ""
    while turns and turns[-1].role == conversations.ASSISTANT:
        turns.pop()
    return conversations.dump(turns) if turns else ""


def answers(network: LanguageNetwork, session: Session, asked: Sequence[str]) -> list[dict[str, Any]]:
    """What the network says to each prompt: the likeliest, and one drawn answer (with `quick` effort only of the
    first)."""
    format, shape = teaching.format_of(session.task.processor), session.rows.shape
    most = MOST_TOKENS.get(session.recipe.effort, DEFAULT_MOST_TOKENS)
    given = []
    for prompt in asked:
        ids = teaching.prompt_ids(format, prompt, shape)
        limit = session.facts.max_length or len(ids) + most
        given.append(ids[-max(1, limit - most):])
    drawn = {"do_sample": True, "temperature": TEMPERATURE, "top_p": TOP_P}
    devices = [network.device] if network.device.type == "cuda" else []
    found = []
    for seed, count in ((None, len(asked)), (SEED, 1 if session.recipe.effort in MOST_TOKENS else len(asked))):
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed or 0)
            said = generate.continuations(network, format, given[:count], precision=session.precision, most=most,
                                          **({} if seed is None else drawn))
        found += [{"prompt": prompt, "seed": seed, "ended": each["ended"],
                   "text": session.task.processor.decode(each["ids"], skip_special_tokens=True)}
                  for prompt, each in zip(asked, said, strict=False)]
    return sorted(found, key=lambda answer: asked.index(answer["prompt"]))  # those of a prompt together


def write(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    """As JSON lines, whole or not at all."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    files.write_bytes(path, text.encode("utf-8", "surrogatepass"))


def untouched(session: Session) -> None:
    """Write what the untouched model says to the same prompts, where the run does not start from it (in 4 bits, with
    fresh weights): asked once for all runs."""
    if not session.speaks or session.card.weights is Weights.PRETRAINED:
        return
    asked, recipe = prompts(session), session.recipe
    folder = cache.folder_of(session.settings.cache, "samples", {
        "model": session.facts.revision, "prompts": asked, "precision": session.precision, "effort": recipe.effort,
        "device": session.device.kind, "shape": str(session.rows.shape)} | session.untouched_key())

    def read() -> list[dict[str, Any]] | None:
        found = files.read_json(folder / "answers.json")
        return found if isinstance(found, list) else None

    def make() -> list[dict[str, Any]]:
        network = session.untouched()
        assert isinstance(network, LanguageNetwork)
        found = answers(network, session, asked)
        files.write_json(folder / "answers.json", found)
        files.write_json(folder / cache.KEY, {"made": time.time()})
        return found

    files.write_json(session.run_dir / UNTOUCHED, {"step": 0, "answers": cache.kept(folder, read, make)})
    cache.mark_used(folder)
