"""What an answer rests on: shares that sum to the score, on the word that decides, and others under random weights."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch

from core import __main__ as program
from core.domain.side import Side
from core.serving import answering
from core.serving.endpoint import _One
from core.serving.question import Question, State
from core.serving.turns import Task, Turns
from core.settings import Settings
from core.training import artifact, attribution
from tests import tiny
from tests.conftest import write_dataset, write_picture_dataset
from tests.unit.training.test_known_rows import trained

T = TypeVar("T")
TEXT = "goal match team the year"


def state(model: artifact.LoadedModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.network.state_dict().items()}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_shares_of_a_text_sum_to_its_score_and_random_weights_are_put_back(settings: Settings, tiny_model: Path,
                                                                           tmp_path: Path, precision: str) -> None:
    run = trained(settings, write_dataset(settings, n_rows=60), tiny_model, tmp_path / "run", precision=precision)
    model = artifact.load(Side.of(run), settings=settings)
    before = state(model)
    found = attribution.of(model, TEXT, check=True)
    assert found.pieces == tuple(TEXT.split()) and len(found.shares) == 5
    assert sum(found.shares) == pytest.approx(found.difference, abs=0.02 * abs(found.difference) + 2e-3)
    assert found.error == pytest.approx(abs(sum(found.shares) - found.difference), abs=1e-5)
    assert found.label == model.predict([TEXT])[0]["label"]
    assert found.checked and found.random_rank is not None and found.random_rank < 0.999
    assert all(torch.equal(value, before[name]) for name, value in model.network.state_dict().items())
    assert not attribution.of(model, TEXT).checked
    assert attribution.of(model, "goal", check=True).random_rank is None


def test_a_network_that_reads_one_word_only_rests_on_that_word(settings: Settings, tiny_model: Path,
                                                               tmp_path: Path) -> None:
    """The embeddings of all other words are those of padding, so that they cannot add anything."""
    run = trained(settings, write_dataset(settings, n_rows=60), tiny_model, tmp_path / "run")
    model = artifact.load(Side.of(run), settings=settings)
    tokenizer, table = model.task.processor, model.network.body.get_input_embeddings().weight
    with torch.no_grad():
        for word in ("goal", "match", "the", "year"):
            table[tokenizer.convert_tokens_to_ids(word)] = table[tokenizer.pad_token_id]
    found = attribution.of(model, TEXT)
    shares = dict(zip(found.pieces, found.shares, strict=True))
    assert abs(shares.pop("team")) > 1e-4 and all(share == pytest.approx(0, abs=1e-7) for share in shares.values())


def through(pieces: Generator[float, None, T]) -> T:
    """What it returns in the end."""
    def steps() -> Generator[float, None, None]:
        found.append((yield from pieces))

    found: list[T] = []
    list(steps())
    return found[0]


def reference(model: artifact.LoadedModel, text: str) -> np.ndarray:
    """The same by captum's own way over a layer, at once, with many points."""
    from captum.attr import LayerIntegratedGradients

    with model.inputs([text]) as inputs:
        batch = inputs.encoded.batch(np.arange(1))
    ids, mask = batch.pop("input_ids"), batch["attention_mask"]
    target = int(model.network(input_ids=ids, **batch)["logits"][0].argmax())
    special = torch.isin(ids, torch.tensor(model.task.processor.all_special_ids))
    empty = torch.where(special, ids, torch.full_like(ids, model.task.processor.pad_token_id))
    found = LayerIntegratedGradients(
        lambda given: model.network(input_ids=given, **{name: value.expand(len(given), -1)
                                                        for name, value in batch.items()})["logits"][:, target],
        model.network.body.get_input_embeddings()).attribute(ids, baselines=empty, n_steps=200,
                                                             internal_batch_size=50)
    return found[0].detach().sum(-1).numpy()[(mask[0] > 0).numpy() & ~special[0].numpy()]


def test_stretch_by_stretch_is_what_captum_makes_of_the_whole_way(settings: Settings, tiny_model: Path,
                                                                  tmp_path: Path) -> None:
    run = trained(settings, write_dataset(settings, n_rows=60), tiny_model, tmp_path / "run")
    model = artifact.load(Side.of(run), settings=settings)
    found = attribution.of(model, TEXT)
    np.testing.assert_allclose(found.shares, reference(model, TEXT), atol=1e-3 * max(map(abs, found.shares)))


def test_where_the_score_bends_it_is_walked_more_slowly() -> None:
    """A score that leaps near the empty input, as that of a picture does: even 32 evenly spaced points miss it."""
    from captum.attr import IntegratedGradients

    weights = torch.linspace(0.5, 2, 3)

    def score(given: torch.Tensor) -> torch.Tensor:
        return torch.tanh(300 * (given * weights).sum(1)) + 0.3 * torch.sin(3 * given[:, 0])

    whole = torch.tensor([[1.0, 2.0, 3.0]])
    even = IntegratedGradients(score).attribute(whole, n_steps=32).sum().item()
    difference = score(whole).item() - score(torch.zeros_like(whole)).item()
    assert abs(even - difference) > 0.5 * abs(difference)
    way = attribution.Way(empty=torch.zeros_like(whole), whole=whole, score=score, parts=lambda each: each.numpy())
    found = through(attribution._shares(way, done=lambda part: part))
    assert found.sum() == pytest.approx(difference, rel=attribution.ENOUGH)


def test_two_on_one_model_do_not_see_each_other_and_one_that_is_ended_leaves_nothing(
        settings: Settings, tiny_model: Path, tmp_path: Path) -> None:
    run = trained(settings, write_dataset(settings, n_rows=60), tiny_model, tmp_path / "run")
    model = artifact.load(Side.of(run), settings=settings)
    alone, before = attribution.of(model, TEXT, check=True), state(model)
    one, other = (attribution.pieces(model, TEXT, check=True) for _ in range(2))
    said = [0.0]
    while said[-1] <= 0.5:  # until within the randomised half
        said.append(next(one))
    assert said == sorted(said) and said[-1] < 1
    assert attribution.of(model, TEXT) == replace(alone, checked=False, random_rank=None)
    next(other)
    one.close()
    assert all(torch.equal(value, before[name]) for name, value in model.network.state_dict().items())
    assert not model.network.body.get_input_embeddings()._forward_hooks
    assert through(other) == alone


def test_by_command(settings: Settings, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                    capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(settings, write_dataset(settings, n_rows=60), tiny_model, tmp_path / "run")
    monkeypatch.setenv("THAW_HOME", str(settings.home))
    monkeypatch.setenv("THAW_HUB", "0")
    found = attribution.of(artifact.load(Side.of(run), settings=settings), TEXT)
    assert program.main(["predict", str(run), "--input", TEXT, "--why", "--json"]) == 0
    [said] = json.loads(capsys.readouterr().out)["predictions"]
    why = said["why"]
    assert [one["token"] for one in why["tokens"]] == TEXT.split() and why["label"] == said["label"]
    assert [one["share"] for one in why["tokens"]] == pytest.approx(found.shares, abs=1e-5)
    assert why["error"] == pytest.approx(abs(why["sum"] - why["difference"]), abs=1e-6)
    assert program.main(["predict", f"{run}:base", str(run), "--input", TEXT, "--why"]) == 0
    assert capsys.readouterr().out.count("the score of") == 2
    many = tmp_path / "many.csv"
    many.write_text("text\n" + "\n".join(tiny.make_texts(21)[0]), encoding="utf-8")
    assert program.main(["predict", str(run), "--input", str(many), "--why", "--json"]) == 1
    assert "at most 20 rows" in json.loads(capsys.readouterr().out)["error"]["why"]


def test_a_question_that_is_cancelled_ends_between_two_stretches(settings: Settings, tiny_model: Path,
                                                                 tmp_path: Path) -> None:
    """In the line of the model server, whose other visitors get their turn in between."""
    run = trained(settings, write_dataset(settings, n_rows=60), tiny_model, tmp_path / "run")
    side = Side.of(run)
    room = _One(answering.Loaded(side, settings))
    turns = Turns(room, piece_s=0.0)  # type: ignore[arg-type]

    def task(visitor: str, **fields: object) -> Task:
        question = Question(sides=(side,), texts=(TEXT,), **fields)  # type: ignore[arg-type]
        return Task(visitor=visitor, sides=(side,), work=lambda loaded, at: answering.answer(loaded, question, at))

    long, short = task("a", rests_on=True, randomised=True), task("b")
    turns.ask(long)
    while (long.answers[0].progress or 0) < 0.3:
        assert turns.step()
    turns.ask(short)
    while not short.answers[0].state.final:
        assert turns.step()
    assert short.answers[0].state is State.DONE and long.answers[0].progress < 0.9
    turns.cancel(long)
    turns.step()
    said = long.answers[0]
    assert said.state is State.STOPPED and said.label and said.rests_on is None and not long.pieces


def test_pictures_get_a_map_of_cells(settings: Settings, tmp_path: Path) -> None:
    dataset = write_picture_dataset(settings, n_rows=30)
    run = trained(settings, dataset, tiny.vit(tmp_path / "vit"), tmp_path / "run", max_length=0)
    side = Side.of(run)
    loaded = answering.Loaded(side, settings)
    picture = tmp_path / "one.png"
    tiny.make_picture("disc", seed=5).save(picture)  # type: ignore[attr-defined]
    asked = Question(sides=(side,), picture=str(picture), rests_on=True, randomised=True)
    first, *between, last = answering.answer(loaded, asked, 0)
    assert first.rests_on is None and first.label == last.label and not first.state.final and last.state.final
    parts = [said.progress for said in (first, *between)]
    assert parts == sorted(parts) and parts[0] == 0 and len(parts) >= 12 and last.progress is None
    found = last.rests_on
    assert found is not None, last.notes
    assert found.columns and len(found.shares) % found.columns == 0 and found.picture
    assert sum(found.shares) == pytest.approx(found.difference, abs=0.05 * abs(found.difference) + 2e-3)
    assert found.checked and found.random_rank is not None and found.random_rank < 0.9


def test_the_rank_correlation_is_of_sizes_and_leaves_out_what_adds_nothing() -> None:
    shares = np.array([1, -2, 3, -4, 0, 0], np.float32)
    assert attribution.rank(shares, -shares) == pytest.approx(1)
    assert attribution.rank(shares, np.array([4, 3, 2, 1, 0, 0], np.float32)) == pytest.approx(-1)
    assert attribution.rank(shares[:3], shares[:3]) is None
