"""Text, picture and prompt, each asked of two models in a real browser; and a whole table answered by a worker."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from core.domain.dataset import Dataset
from core.domain.recipe import LoraSpec, Recipe
from core.domain.run import JobKind, Status
from core.settings import Settings
from core.store import Store
from core.store.jobs import NewJob
from core.training import extract
from core.training.execute import execute
from tests import chat_templates, tiny
from tests.conftest import WORKSPACE, Notes, write_dataset, write_language_dataset, write_picture_dataset
from tests.e2e.conftest import Server
from tests.e2e.test_browser import SLOW, honest, settled

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(2400)]
CHECKED = re.compile("Rank correlation with the same under randomised weights|too few parts for a rank correlation")
ANSWERED = 600_000
"""Milliseconds until a tiny model has answered on a busy machine; the process that holds it imports torch."""


def finished(settings: Settings, dataset: Dataset, model: Path, **fields: object) -> str:
    """A finished run in the queue's books; its id."""
    store = Store(settings)
    recipe = Recipe(**{"dataset": dataset.id, "base_model": str(model), "method": "lora", "epochs": 1.0,
                       "batch_size": 8, "task": dataset.task, "precision": "fp32", "lora": LoraSpec(rank=2),
                       "learning_rate": 1e-2, **fields})  # type: ignore[arg-type]
    [id] = store.jobs.submit([NewJob(workspace=WORKSPACE, kind=JobKind.TRAIN, name="run", recipe=recipe,
                                     runs_folder=settings.workspace(WORKSPACE) / "runs")])
    claim = store.queue.claim(supervisor="test", host="test", slots=1)
    assert claim is not None and claim.run.id == id
    store.queue.begin(id, fence=claim.fence, pid=os.getpid(), pid_created=0.0)
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=Path(claim.run.folder), observer=Notes())
    store.queue.finish(id, fence=claim.fence, status=Status.DONE)
    return id


def try_it(page: Page) -> str:
    """Press Try and wait for all answers; what the page says then."""
    settled(page)
    page.get_by_role("button", name="Try", exact=True).click()
    expect(page.get_by_text("The files each answer came from")).to_be_visible(timeout=ANSWERED)
    return honest(page)


def test_text_picture_and_prompt_are_asked_of_two_models(serve: Callable[..., Server], page: Page, tmp_path: Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    models, home = tmp_path / "models", tmp_path / "home"
    monkeypatch.setenv("THAW_MODEL_FOLDERS", str(models))
    monkeypatch.setenv("THAW_HUB", "0")
    settings = Settings(home=home, hub=False, model_folders=(models,))
    talker = tiny.language("llama", models / "talker", vocab_size=512, max_position_embeddings=128)
    chat_templates.tokenizer("marked").save_pretrained(talker)  # type: ignore[attr-defined]
    texts = finished(settings, write_dataset(settings, n_rows=90), tiny.bert(models / "bert"), max_length=32)
    shapes = write_picture_dataset(settings, n_rows=30)
    pictures = finished(settings, shapes, tiny.vit(models / "vit"), method="probe", max_length=0)
    talk = finished(settings, write_language_dataset(settings, n_rows=24, chat=True), talker, batch_size=4,
                    max_length=48)
    server = serve()

    page.set_default_timeout(4 * SLOW)
    page.goto(server.url(f"run?ws={WORKSPACE}&run={texts}"))
    page.get_by_role("link", name="Try it on your own input").click()
    box = page.get_by_role("textbox", name="Text", exact=True)
    box.fill("a late goal in the stadium")
    box.press("Control+Enter")
    said = try_it(page)
    assert "Base model" in said and said.count("sport") == 2 and said.count("money") == 2
    assert "to the last bit" not in said, "a LoRA run answers otherwise than its base model"
    a_place_on_the_map(page, box, Path(Store(settings).jobs.get(WORKSPACE, texts).folder), settings)
    long_and_empty(page, box, "the model reads the first 32, as in training")
    a_table(page)

    page.goto(server.url(f"try_it?ws={WORKSPACE}&run={pictures}"))
    picture = settings.workspace(WORKSPACE) / "datasets" / shapes.id / "images" / "4.png"
    expect(page.get_by_role("heading", level=1, name="Try it")).to_be_visible(timeout=4 * SLOW)
    page.locator("input[type=file]").first.set_input_files(str(picture))
    expect(page.get_by_text("4.png")).to_be_visible(timeout=4 * SLOW)
    said = try_it(page)
    assert "gave the same output to the last bit" in said, "a probe is its base model with the same head"
    what_it_rests_on(page, "Most for it: the ")
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture at all")
    page.locator("input[type=file]").first.set_input_files(str(bad))
    expect(page.get_by_text("bad.png", exact=False).first).to_be_visible(timeout=4 * SLOW)
    settled(page)
    page.get_by_role("button", name="Try", exact=True).click()
    expect(page.get_by_text("The picture bad.png cannot be used.").first).to_be_visible(timeout=ANSWERED)
    assert "Its content is no JPEG" in honest(page) and "choose another picture" in honest(page)

    page.goto(server.url(f"try_it?ws={WORKSPACE}&run={talk}"))
    box = page.get_by_role("textbox", name="Question")
    box.fill("Who won the cup?")
    box.press("Control+Enter")
    said = try_it(page)
    assert said.count(" tokens") >= 2
    expect(page.get_by_role("button", name="Go on with the conversation")).to_be_visible(timeout=4 * SLOW)
    what_it_rests_on(page, "What the first token of the answer")
    long_and_empty(page, page.get_by_role("textbox", name="Question"), "the model reads at most 128 with its answer")
    mapped = server.libraries()
    assert "libtorch" not in mapped and "/torch/" not in mapped, "the web process holds no model"


def what_it_rests_on(page: Page, said: str) -> None:
    """Asked for with a switch, drawn for both models, and checked under randomised weights by one press."""
    switch = page.get_by_test_id("stCheckbox").filter(has_text="What the answer rests on").locator("label")
    switch.click()
    try_it(page)
    expect(page.get_by_text(said)).to_have_count(2, timeout=ANSWERED)
    page.get_by_role("button", name="Check with randomised weights").click()
    expect(page.get_by_text(CHECKED)).to_have_count(2, timeout=ANSWERED)
    honest(page)
    switch.click()
    settled(page)


def long_and_empty(page: Page, box: Locator, cut: str) -> None:
    """Nothing is refused in three parts, 100,000 characters are answered with what was cut, and the page stays."""
    box.fill("   ")
    box.press("Control+Enter")
    settled(page)
    page.get_by_role("button", name="Try", exact=True).click()
    expect(page.get_by_text("There is nothing to try.")).to_be_visible(timeout=4 * SLOW)
    assert "Type or paste a text first." in honest(page)
    box.fill("a goal in the cup " * 5_556)
    box.press("Control+Enter")
    settled(page)
    page.get_by_role("button", name="Try", exact=True).click()
    expect(page.get_by_text(cut).first).to_be_visible(timeout=ANSWERED)
    expect(page.get_by_text("There is nothing to try.")).to_have_count(0)
    honest(page)


def a_place_on_the_map(page: Page, box: Locator, run: Path, settings: Settings) -> None:
    """Without features, where to make them; with them, a row of the map that is typed again lands on itself."""
    page.get_by_text("Place on the map").click()
    settled(page)
    page.get_by_role("button", name="Try", exact=True).click()
    expect(page.get_by_role("link", name="Features of this run").first).to_be_visible(timeout=ANSWERED)
    where = extract.extract(run, settings=settings, workspace=WORKSPACE, observer=Notes())
    row = int(extract.BlockFeatures.load(where.tuned).row_ids[0])
    box.fill(tiny.make_texts(90)[0][row])
    box.press("Control+Enter")
    try_it(page)
    expect(page.get_by_text("It lands on a row of the map")).to_have_count(2, timeout=ANSWERED)
    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    honest(page)
    page.get_by_text("Place on the map").click()
    settled(page)


def a_table(page: Page) -> None:
    """Given to the page, answered row by row, and taken along. One without the column is told before a worker is."""
    page.locator("input[type=file]").first.set_input_files(
        {"name": "other.csv", "mimeType": "text/csv", "buffer": b"number,remark\n1,a goal in the cup\n"})
    expect(page.get_by_text("other.csv has no column 'text' to read texts from.")).to_be_visible(timeout=4 * SLOW)
    assert "This table has: 'remark', 'number'" in honest(page)
    expect(page.get_by_role("button", name="Predict every row")).to_be_disabled()
    rows = "text\n" + "".join(f"{text}\n" for text in tiny.make_texts(30)[0])
    page.locator("input[type=file]").first.set_input_files(
        {"name": "new.csv", "mimeType": "text/csv", "buffer": rows.encode()})
    page.get_by_role("button", name="Predict every row").click(timeout=4 * SLOW)
    expect(page.get_by_text("30 rows read = 30 predicted + 0 left out")).to_be_visible(timeout=ANSWERED)
    with page.expect_download() as download:
        page.get_by_role("button", name="Predictions as CSV").click()
    table = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8-sig"))))
    assert len(table) == 30 and all(row["label"] in tiny.TOPICS for row in table)
    assert sorted(int(row["doubt"]) for row in table) == list(range(1, 31))
    honest(page)
