"""What the first token of an answer rests on: shares that sum to its log-probability, on the words that were given."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core import __main__ as program
from core import tasks
from core.data import conversations
from core.data.conversations import Turn
from core.domain.attribution import Attribution
from core.domain.dataset import Shape, Task
from core.domain.model import Weights
from core.domain.recipe import Recipe
from core.domain.side import Side, Which
from core.models import inspect as model_inspect
from core.models import tokens
from core.serving import answering, speech
from core.serving.endpoint import _One
from core.serving.question import Drawing, Question, State
from core.serving.turns import Task as Waiting
from core.serving.turns import Turns
from core.settings import Settings
from core.tasks import teaching
from core.tasks.teaching import Prompt
from core.training import first_token
from core.training.artifact import LoadedModel
from tests import chat_templates, tiny
from tests.conftest import WORKSPACE, write_language_dataset
from tests.unit.serving.test_answering import trained

TEXT = "the team of the year and a new coach in the stadium"


def loaded(settings: Settings, model: Path, shape: Shape = Shape.TEXT) -> LoadedModel:
    """The model as published."""
    facts = model_inspect.inspect_model(str(model), settings=settings)
    task: Any = tasks.get(Task.LANGUAGE_MODELLING)(tokens.load(model), shape)  # type: ignore[call-arg]
    recipe = Recipe(dataset="d", base_model=str(model), method="lora", task=Task.LANGUAGE_MODELLING)
    network = task.build(model, recipe=recipe, facts=facts, weights=Weights.PRETRAINED, dropout=0.0,
                         compute_dtype=torch.float32, device="cpu")
    return LoadedModel(task=task, network=network, recipe=recipe, precision="fp32", settings=settings)


def through(steps: Generator[float, None, Attribution]) -> tuple[Attribution, list[float]]:
    said = []
    while True:
        try:
            said.append(next(steps))
        except StopIteration as end:
            return end.value, said


def explained(model: LoadedModel, prompt: Prompt, *, check: bool = False) -> Attribution:
    return through(first_token.pieces(model, prompt, likeliest(model, prompt), check=check))[0]


@torch.no_grad()
def said(model: LoadedModel, ids: list[int]) -> torch.Tensor:
    """Log-probabilities of what is said next, by the whole model of transformers."""
    return torch.log_softmax(model.network.causal(input_ids=torch.tensor([ids])).logits[0, -1].float(), -1)


def likeliest(model: LoadedModel, prompt: Prompt) -> int:
    return int(said(model, list(prompt.ids)).argmax())


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_the_shares_sum_to_the_change_of_the_log_probability(family: str, settings: Settings, tmp_path: Path) -> None:
    model = loaded(settings, tiny.language(family, tmp_path / family))
    prompt = speech.read(model, TEXT)
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    found = explained(model, prompt, check=True)
    assert found.says and found.unit == "nats" and "".join(found.pieces) == TEXT and not found.earlier
    token, pad = likeliest(model, prompt), tokens.pad_id(model.task.processor)  # type: ignore[attr-defined]
    empty = [pad if own else id for id, own in zip(prompt.ids, prompt.own, strict=True)]
    change = float(said(model, list(prompt.ids))[token] - said(model, empty)[token])
    assert found.difference == pytest.approx(change, abs=1e-4) and abs(change) > 1e-3
    assert sum(found.shares) == pytest.approx(change, abs=max(0.05 * abs(change), 0.005) + 1e-4)
    assert found.error == pytest.approx(abs(sum(found.shares) - found.difference), abs=1e-5)
    assert found.checked and found.random_rank is not None and found.random_rank < 0.999
    assert all(torch.equal(value, before[name]) for name, value in model.network.state_dict().items())
    assert not model.network.body.get_input_embeddings()._forward_hooks


def test_a_model_that_is_blind_to_all_words_but_one_rests_on_that_word(settings: Settings, tmp_path: Path) -> None:
    """The embeddings of the others are those of padding, so that they cannot add anything."""
    model = loaded(settings, tiny.language("llama", tmp_path / "llama"))
    tokenizer: Any = model.task.processor  # type: ignore[attr-defined]
    table = model.network.body.get_input_embeddings().weight
    with torch.no_grad():
        for word in set(TEXT.split()) - {"coach"}:
            table[tokenizer.convert_tokens_to_ids(word)] = table[tokens.pad_id(tokenizer)]
    found = explained(model, speech.read(model, TEXT))
    shares = dict(zip(found.pieces, found.shares, strict=True))
    assert abs(shares.pop(" coach")) > 1e-4
    assert all(share == pytest.approx(0, abs=1e-6) for share in shares.values())


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_of_a_long_prompt_the_end_is_walked_after_what_was_kept_of_the_rest(
        family: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded(settings, tiny.language(family, tmp_path / family))
    prompt = speech.read(model, TEXT)
    monkeypatch.setattr(first_token, "WALKED", 4)
    found = explained(model, prompt)
    assert "".join(found.pieces) == " coach in the stadium" and found.earlier == len(prompt.ids) - 4
    token, pad = likeliest(model, prompt), tokens.pad_id(model.task.processor)  # type: ignore[attr-defined]
    change = float(said(model, list(prompt.ids))[token] - said(model, [*prompt.ids[:-4], *[pad] * 4])[token])
    assert found.difference == pytest.approx(change, abs=1e-4)
    monkeypatch.setattr(first_token, "_read", lambda *_: (None, ""))  # one that keeps nothing
    again = explained(model, prompt)
    assert again.shares == pytest.approx(found.shares, abs=1e-4)


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_templates.talker(tmp_path_factory.mktemp("models") / "talker", "marked", length=256)


def test_what_the_template_writes_has_no_share_and_a_character_of_many_tokens_is_one_piece(
        settings: Settings, talker: Path) -> None:
    model = loaded(settings, talker, Shape.CHAT)
    talk = conversations.dump([Turn("user", "Who won?"), Turn("assistant", "We did."), Turn("user", "Über 👍\nyes?")])
    prompt = speech.read(model, talk)
    format = teaching.format_of(model.task.processor)  # type: ignore[attr-defined]
    assert list(prompt.ids) == teaching.prompt_ids(format, talk, Shape.CHAT)
    found = explained(model, prompt)
    assert "".join(found.pieces) == "Who won?We did.Über 👍\nyes?" and "" not in found.pieces
    assert any("👍" in piece for piece in found.pieces) and "\ufffd" not in "".join(found.pieces)
    assert sum(found.shares) == pytest.approx(found.difference, abs=found.error + 1e-5)


def test_the_answer_comes_first_others_get_their_turn_and_stop_ends_it(settings: Settings, talker: Path,
                                                                      tmp_path: Path) -> None:
    run = trained(write_language_dataset(settings, n_rows=24, chat=True), talker, settings, tmp_path / "run",
                  batch_size=4, max_length=48)
    side = Side.of(run)
    room = answering.Loaded(side, settings)
    turns = Turns(_One(room), piece_s=0.0)  # type: ignore[arg-type]

    def task(visitor: str, **fields: object) -> Waiting:
        question = Question(sides=(side,), texts=("Who won the cup?",), drawing=Drawing(most=4),
                            **fields)  # type: ignore[arg-type]
        return Waiting(visitor=visitor, sides=(side,),
                       work=lambda model, at: answering.answer(model, question, at))

    long, short = task("a", rests_on=True, randomised=True), task("b")
    turns.ask(long)
    while (long.answers[0].progress or 0) < 0.05:
        assert turns.step()
    assert long.answers[0].tokens and long.answers[0].digest and long.answers[0].state is State.WORKING
    turns.ask(short)
    while not short.answers[0].state.final:
        assert turns.step()
    assert short.answers[0].text == long.answers[0].text and long.answers[0].progress < 0.95
    turns.cancel(long)
    turns.step()
    stopped = long.answers[0]
    assert stopped.state is State.STOPPED and stopped.tokens and stopped.rests_on is None and not long.pieces
    assert not room.model.network.body.get_input_embeddings()._forward_hooks

    asked = Question(sides=(side,), texts=("Who won the cup?",), drawing=Drawing(most=4), rests_on=True)
    whole = list(answering.answer(room, asked, 0))[-1]
    assert whole.state is State.DONE and whole.rests_on and whole.progress is None
    assert "".join(whole.rests_on.pieces) == "Who won the cup?" and not whole.rests_on.checked
    assert replace(whole, rests_on=None, tokens_a_second=None) == replace(short.answers[0], tokens_a_second=None)


def test_in_four_bits_there_are_shares_and_why_there_is_no_check(settings: Settings, talker: Path,
                                                                 tmp_path: Path) -> None:
    run = trained(write_language_dataset(settings, n_rows=24, chat=True), talker, settings, tmp_path / "run",
                  batch_size=4, max_length=48)
    side = Side.of(run, Which.FOUR_BIT)
    asked = Question(sides=(side,), texts=("Who won the cup?",), drawing=Drawing(most=2), rests_on=True,
                     randomised=True)
    found = list(answering.answer(answering.Loaded(side, settings), asked, 0))[-1].rests_on
    assert found is not None and any(found.shares) and "4 bits" in found.unchecked


def test_by_command(settings: Settings, talker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                    capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(write_language_dataset(settings, n_rows=24, chat=True), talker, settings, tmp_path / "run",
                  batch_size=4, max_length=48)
    monkeypatch.setenv("THAW_HOME", str(settings.home))
    monkeypatch.setenv("THAW_HUB", "0")
    assert program.main(["predict", str(run), "--input", "Who won the cup?", "--why", "--json"]) == 0
    why = json.loads(capsys.readouterr().out)["predictions"][0]["why"]
    assert "".join(one["token"] for one in why["tokens"]) == "Who won the cup?" and why["unit"] == "nats"
    assert why["error"] == pytest.approx(abs(why["sum"] - why["difference"]), abs=1e-6)
    assert program.main(["predict", str(run), "--input", "Who won the cup?", "--why"]) == 0
    assert "the log-probability of the first token" in capsys.readouterr().out
    assert program.main(["predict", str(run), "--input", "Who won?", "--nearest", "2", "--workspace", WORKSPACE]) == 0
    said = capsys.readouterr()
    assert "Compared with the training rows: the conversation with this model's own answer" in said.err
    assert "to the fifth nearest training row" in said.out
    file = tmp_path / "rows.csv"
    file.write_text("prompt,response\nWho won?,We did.\n", encoding="utf-8")
    assert program.main(["predict", str(run), "--input", str(file), "--why", "--json"]) == 1
    assert "judges the rows" in json.loads(capsys.readouterr().out)["error"]["why"]
