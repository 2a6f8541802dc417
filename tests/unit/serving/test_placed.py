"""Where an input lands on the map of a run's rows: a row that is typed again lands on its own point, on every side."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import __main__ as program
from core.analysis import View, feature_comparison, orientation, rows_map
from core.data import conversations
from core.domain.dataset import Dataset
from core.domain.side import Side, Which
from core.errors import NotFoundError, RecipeError
from core.serving import rows as serving
from core.serving import speech
from core.serving.answering import Loaded, answer
from core.serving.question import Answer, Drawing, Question
from core.settings import Settings
from core.training import extract, known_rows
from core.training.session import read_rows
from tests import chat_templates, tiny
from tests.conftest import WORKSPACE, Notes, write_language_dataset, write_picture_dataset
from tests.unit.serving.test_answering import trained


def asked(side: Side, settings: Settings, **fields: object) -> Answer:
    question = Question(sides=(side,), placed=True, **fields)  # type: ignore[arg-type]
    return list(answer(Loaded(side, settings, workspace=WORKSPACE), question, 0))[-1]


def test_a_row_that_is_typed_again_lands_on_its_own_point_of_the_features_page(
        settings: Settings, tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    run = trained(tiny_dataset, tiny_model, settings, tmp_path / "run")
    sides = [Side.of(run, Which.BASE), Side.of(run)]
    before = asked(sides[1], settings, texts=("a goal",))
    assert before.placed is None and before.unplaced and "Features page" in before.unplaced["remedy"]
    extract.extract(run, settings=settings, workspace=WORKSPACE, observer=Notes())
    compared = feature_comparison.compare(*sides, names=("a", "b"), dataset=tiny_dataset, settings=settings,
                                          workspace=WORKSPACE, rows=2000)
    page = compared.map(len(compared.shift.blocks) - 1, View.BASE)
    assert page is not None
    rows = read_rows(tiny_dataset, settings=settings, workspace=WORKSPACE)
    text = dict(zip(rows.row_ids.tolist(), rows.content, strict=True))
    spread = np.ptp(page.base, axis=0).max()
    kept = {}
    for side, positions in zip(sides, (page.base, page.tuned), strict=True):
        found = rows_map.of(side, settings=settings)
        np.testing.assert_allclose(found.positions, positions, atol=1e-9)
        for place in (0, 7, len(positions) - 1):
            said = asked(side, settings, texts=(text[int(found.row_ids[place])],))
            assert said.placed is not None, said.unplaced
            assert (said.placed.x, said.placed.y) == pytest.approx(positions[place], abs=2e-3 * spread)
            assert said.placed.distances[0] < 1e-4 and len(said.placed.near) == 5
            assert text[said.placed.near[0]] == text[int(found.row_ids[place])]
        kept[side.which] = found
    assert kept[Which.BASE].axes == kept[Which.FINAL].axes, "one fit, of the base model's features"
    np.testing.assert_array_equal(kept[Which.BASE].camera.axes, kept[Which.FINAL].camera.axes)
    assert np.abs(page.base - page.tuned).max() > 0.01 * spread, "the sides differ, so the maps do"
    with pytest.raises(RecipeError):
        rows_map.of(replace(sides[1], strength=0.5), settings=settings)
    for which, why in ((Side.of(run, Which.FOUR_BIT), "4 bits"), (Side.of(run, Which.STEP, 3), "step 3")):
        with pytest.raises(NotFoundError, match=why):
            rows_map.of(which, settings=settings)


def test_nearest_rows_of_the_map_are_those_of_a_plain_search(settings: Settings, tiny_model: Path,
                                                             tiny_dataset: Dataset, tmp_path: Path,
                                                             capsys: pytest.CaptureFixture[str],
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(tiny_dataset, tiny_model, settings, tmp_path / "run")
    where = extract.extract(run, settings=settings, workspace=WORKSPACE, observer=Notes())
    side = Side.of(run)
    features = extract.BlockFeatures.load(where.tuned)
    last = features.blocks[features.names[-1]].astype(np.float64)
    given = last[3] + 0.1 * last[8]
    [found] = rows_map.of(side, settings=settings).place(given[None].astype(np.float32))
    distances = 1 - last @ given / np.linalg.norm(last, axis=1) / np.linalg.norm(given)
    assert found.near == tuple(features.row_ids[np.argsort(distances, kind="stable")[:5]])
    camera = orientation.of(where.base, features.names[-1], settings=settings)
    assert camera is not None
    assert (found.x, found.y) == pytest.approx(tuple((given - camera.centre) @ camera.axes), abs=1e-2)
    said = serving.of(side, ["a goal", "money"], settings, nearest=2, workspace=WORKSPACE)
    assert len(said.placed) == 2
    monkeypatch.setenv("THAW_HOME", str(settings.home))
    monkeypatch.setenv("THAW_HUB", "0")
    command = ["predict", str(run), "--input", "a goal", "--nearest", "2", "--workspace", WORKSPACE, "--json"]
    assert program.main(command) == 0
    [told] = json.loads(capsys.readouterr().out)["predictions"]
    assert told["place"] == pytest.approx([said.placed[0].x, said.placed[0].y], abs=1e-3)


def test_pictures_too(settings: Settings, tmp_path: Path) -> None:
    dataset = write_picture_dataset(settings, n_rows=30)
    run = trained(dataset, tiny.vit(tmp_path / "vit"), settings, tmp_path / "run", max_length=0)
    extract.extract(run, settings=settings, workspace=WORKSPACE, observer=Notes())
    rows = read_rows(dataset, settings=settings, workspace=WORKSPACE)
    for side in (Side.of(run, Which.BASE), Side.of(run)):
        found = rows_map.of(side, settings=settings)
        picture = dict(zip(rows.row_ids.tolist(), rows.content, strict=True))[int(found.row_ids[4])]
        said = asked(side, settings, picture=picture)
        assert said.placed is not None, said.unplaced
        assert (said.placed.x, said.placed.y) == pytest.approx(found.positions[4],
                                                               abs=2e-3 * np.ptp(found.positions, axis=0).max())
        assert found.row_ids[4] in said.placed.near and said.placed.distances[0] < 1e-4


@pytest.mark.parametrize(("chat", "pooling"), [(True, "taught"), (True, "auto"), (False, "auto")])
def test_a_language_models_row_that_is_asked_again_is_nearest_to_itself(chat: bool, pooling: str, settings: Settings,
                                                                        tmp_path: Path) -> None:
    """With its own answer as the model's (a conversation), or as a prompt (a passage, which has no end token here)."""
    model = tiny.language("llama", tmp_path / "talker", vocab_size=512, max_position_embeddings=128)
    if chat:
        chat_templates.tokenizer("marked").save_pretrained(model)
    dataset = write_language_dataset(settings, n_rows=40, chat=chat)
    run = trained(dataset, model, settings, tmp_path / "run", batch_size=4, max_length=64, pooling=pooling)
    extract.extract(run, settings=settings, workspace=WORKSPACE, observer=Notes())
    side = Side.of(run)
    loaded, rows = Loaded(side, settings, workspace=WORKSPACE), read_rows(dataset, settings=settings,
                                                                          workspace=WORKSPACE)
    text_of = dict(zip(rows.row_ids.tolist(), rows.content, strict=True))

    def seen(row_id: int) -> tuple[np.ndarray, str]:
        if not chat:
            return speech.as_row(loaded.model, text_of[row_id], "")
        asked, said = conversations.load(text_of[row_id])
        return speech.as_row(loaded.model, asked.content, said.content)

    trained_on, drawn = int(rows.row_ids[1]), rows_map.of(side, settings=settings)
    found, what = seen(trained_on)
    assert ("own answer" if chat else "the prompt") in what
    [near] = loaded.known_rows.nearest(known_rows.directions(found), most=3)
    assert near.rows[0].row_id == trained_on and near.rows[0].distance < 1e-4 < near.rows[1].distance
    assert near.rows[0].content == (conversations.readable(text_of[trained_on]) if chat else text_of[trained_on])
    on_map = int(drawn.row_ids[2])
    [placed] = drawn.place(seen(on_map)[0])
    assert placed.near[0] == on_map and placed.distances[0] < 1e-3
    question = Question(sides=(side,), texts=("goal match",), drawing=Drawing(most=4), placed=True, nearest=3)
    said = list(answer(loaded, question, 0))[-1]
    assert said.placed and said.nearest and len(said.nearest.rows) == 3 and said.compared == what and said.text
