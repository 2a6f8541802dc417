"""What loaded sides answer is what the runs recorded, from the files that are named, and the same as by other ways."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.data import conversations
from core.data.conversations import Turn
from core.domain.dataset import Dataset, Shape, Task
from core.domain.recipe import LoraSpec, Recipe
from core.domain.side import Side, Which
from core.errors import DataError
from core.models import inspect as model_inspect
from core.serving import speech
from core.serving.answering import Loaded, answer
from core.serving.question import Answer, Drawing, Question, State, same
from core.settings import Settings
from core.training import generate
from core.training.execute import execute
from tests import chat_templates, tiny
from tests.conftest import WORKSPACE, Notes, write_language_dataset, write_picture_dataset


def trained(dataset: Dataset, model: Path, settings: Settings, folder: Path, **fields: object) -> Path:
    recipe = Recipe(**{"dataset": dataset.id, "base_model": str(model), "method": "lora", "epochs": 1.0,
                       "batch_size": 8, "task": dataset.task, "precision": "fp32", "lora": LoraSpec(rank=2),
                       "max_length": 32, "learning_rate": 1e-2, **fields})  # type: ignore[arg-type]
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=Notes())
    return folder


def asked(settings: Settings, sides: list[Side], **fields: object) -> list[Answer]:
    question = Question(sides=tuple(sides), **fields)  # type: ignore[arg-type]
    return [list(answer(Loaded(side, settings), question, at))[-1] for at, side in enumerate(sides)]


def test_texts(settings: Settings, tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    run = trained(tiny_dataset, tiny_model, settings, tmp_path / "run")
    texts, _ = tiny.make_texts(90)
    recorded = pq.read_table(run / "predictions-test.parquet").to_pylist()[0]
    sides = [Side.of(run, Which.BASE), Side.of(run), Side.of(run, Which.FOUR_BIT), Side.of(run)]
    base, final, rounded, again = asked(settings, sides, texts=(texts[recorded["row_id"]],))
    np.testing.assert_allclose(list((final.probabilities or {}).values()), recorded["probabilities"], atol=1e-5)
    assert final.label == tiny_dataset.classes[recorded["prediction"]] and final.precision == "fp32"
    assert same([base, final, rounded, again]) == [[1, 3]]
    own = {file.name: file.sha256 for file in final.files}
    weights = hashlib.sha256((tiny_model / "model.safetensors").read_bytes()).hexdigest()
    assert own == {f"{tiny_model}: model.safetensors": weights, **{f"artifact/{name}": hashlib.sha256(
        (run / "artifact" / name).read_bytes()).hexdigest() for name in ("head.safetensors",
                                                                         "adapter/adapter_model.safetensors")}}
    assert [file.name.rpartition("/")[2] for file in base.files][1:] == ["base_head.safetensors"]
    assert base.files == rounded.files and base.files[0] == final.files[0]
    long = asked(settings, [Side.of(run)], texts=("goal " * 20_000,))[0]
    assert long.state is State.DONE and "reads the first 32" in long.notes[0]


def test_pictures(settings: Settings, tmp_path: Path) -> None:
    dataset = write_picture_dataset(settings, n_rows=30)
    run = trained(dataset, tiny.vit(tmp_path / "vit"), settings, tmp_path / "run", method="probe", max_length=0)
    picture = settings.workspace(WORKSPACE) / "datasets" / dataset.id / "images" / "3.png"
    base, final = asked(settings, [Side.of(run, Which.BASE), Side.of(run)], picture=str(picture))
    assert set(final.probabilities or {}) == set(dataset.classes) and final.state is State.DONE
    assert same([base, final]) == [[0, 1]], "a probe leaves the body as it was"
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    for given in ({"picture": str(bad)}, {"texts": ("words",)}):
        with pytest.raises(DataError):
            asked(settings, [Side.of(run)], **given)


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_templates.talker(tmp_path_factory.mktemp("models") / "talker", "marked", length=128)


def test_language_models(settings: Settings, talker: Path, tmp_path: Path) -> None:
    run = trained(write_language_dataset(settings, n_rows=24, chat=True), talker, settings, tmp_path / "run",
                  batch_size=4, max_length=48)
    draws = Drawing(temperature=1.0, top_p=0.9, most=12, seed=7)
    sides = [Side.of(run, Which.BASE), Side.of(run), Side.of(run)]
    base, final, again = asked(settings, sides, texts=("Who won the cup?",), drawing=draws)
    assert same([base, final, again]) == [[1, 2]] and final.text == again.text and final.tokens <= 12
    other = asked(settings, [Side.of(run)], texts=("Who won the cup?",), drawing=replace(draws, seed=8))[0]
    assert other.text != final.text
    talk = conversations.dump([Turn("user", "Who won?"), Turn("assistant", "We did."), Turn("user", "Really?")])
    assert asked(settings, [Side.of(run)], texts=(talk,), drawing=Drawing(most=4))[0].state is State.DONE
    long = asked(settings, [Side.of(run)], texts=("goal " * 20_000,), drawing=Drawing(most=4))[0]
    assert long.state is State.DONE and "only the last 124" in long.notes[0]


@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral", "gemma2", "bloom", "opt", "falcon", "neox"])
def test_token_by_token_it_says_what_it_says_at_once(family: str, settings: Settings, tmp_path: Path) -> None:
    """In pieces of three tokens, with what it has read kept: the words of `generate.greedily`."""
    from core import tasks
    from core.domain.model import Weights
    from core.training.artifact import LoadedModel

    model = tiny.language(family, tmp_path / family)
    facts = model_inspect.inspect_model(str(model), settings=settings)
    task = tasks.get(Task.LANGUAGE_MODELLING)(tasks.get(Task.LANGUAGE_MODELLING).of(
        model, _NoRows()).processor, Shape.TEXT)  # type: ignore[arg-type, call-arg]
    recipe = Recipe(dataset="d", base_model=str(model), method="lora", task=Task.LANGUAGE_MODELLING)
    import torch

    network = task.build(model, recipe=recipe, facts=facts, weights=Weights.PRETRAINED, dropout=0.0,
                         compute_dtype=torch.float32, device="cpu")
    loaded = LoadedModel(task=task, network=network, recipe=recipe, precision="fp32", settings=settings)
    prompt = "the team of the year and a new coach in the stadium"
    at_once = generate.greedily(network, task, prompt, precision="fp32", most=10)
    said = list(speech.speak(loaded, prompt, Drawing(most=10), so_far=Answer(), chunk=3))
    assert (said[-1].text, said[-1].ended, said[-1].tokens) == (at_once["text"], at_once["ended"], at_once["tokens"])
    assert [a.tokens for a in said] == sorted(a.tokens for a in said)


class _NoRows:
    shape = Shape.TEXT
