"""A report is one file: everything in it, nothing fetched, no text taken for markup, rows only where wanted."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from core import files, recorded
from core.api import RECORDED, Thaw
from core.domain.recipe import Recipe
from core.errors import DataError
from core.recorded import unpack
from core.settings import Settings
from core.share import report, report_maps
from core.share.document import Document
from tests.conftest import WORKSPACE, write_dataset, write_picture_dataset
from tests.ui.conftest import put_language_runs, put_runs

HOSTILE = '<script>alert(1)</script><img src="http://example.org/x.png" onerror=alert(2)>'


class Page(HTMLParser):
    """What a browser makes of a file: tags, headings in order, the text outside scripts, data blocks."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[int] = []
        self.text, self.data = "", {}
        self._open, self._id = "", ""
        self.feed(data.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open, self._id = tag, dict(attrs).get("id") or ""
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_data(self, data: str) -> None:
        if self._open == "script":
            if self._id:
                self.data[self._id] = json.loads(data)
        elif self._open != "style":
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Thaw:
    """The recorded example: six done runs with features."""
    place = tmp_path_factory.mktemp("recorded") / "home"
    unpack.unpack(recorded.ARCHIVE, place)
    return Thaw(Settings(home=place, hub=False))


@pytest.fixture(scope="module")
def both(example: Thaw) -> dict[bool, bytes]:
    """Two runs of it as a report, with rows and without."""
    card = recorded.card()
    assert card is not None
    ids = [card.runs[0], card.runs[4]]
    return {rows: example.share.report(RECORDED, ids, rows=rows) for rows in (True, False)}


def check(data: bytes) -> Page:
    """What holds of every report."""
    page = Page(data)
    assert len(data) < report.MOST_BYTES
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "img", "form")
        assert not {"src", "href", "srcset", "action", "onerror", "onclick"} & attributes.keys()
    assert page.headings[0] == 1 and page.headings.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(page.headings, page.headings[1:], strict=False))
    charts = [a for tag, a in page.tags if tag == "div" and "data-figure" in a]
    assert all(a["aria-label"] and a["data-figure"] in page.data for a in charts)
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'") and "http" not in policy
    return page


def test_everything_is_in_it_and_nothing_is_fetched(both: dict[bool, bytes], example: Thaw) -> None:
    page = check(both[True])
    for said in ("Results", "Verdicts", "Is one really better?", "Which errors", "What training did to the features",
                 "Recipes", "How it was measured", "95 % interval", "Linear probe"):
        assert said in page.text, said
    assert both[True].count(b"plotly.js v") == 1
    maps = [data for name, data in page.data.items() if name.endswith("-map")]
    assert len(maps) == 1  # the probe moves nothing, and the file says so
    assert "No map: both panes would be the same picture" in page.text
    shared = page.data[maps[0]["rows"]]["rows"]
    assert len(maps[0]["keys"]) == len(maps[0]["hover"]) == len(maps[0]["said"]) == len(shared) == 625
    first = shared[maps[0]["keys"][0]]
    assert first[0] in example.data.all(RECORDED)[0].classes and first[1].startswith("Row")


def test_without_rows_no_text_of_the_dataset_is_in_it(both: dict[bool, bytes]) -> None:
    page = check(both[False])
    assert "left out on request" in page.text
    assert b"not part of the example" in both[True] and b"not part of the example" not in both[False]
    shared = page.data["rows-1"]
    assert {row[1] for row in shared["rows"].values()} == {""} and shared["sheet"] is None
    assert all(row[0] for row in shared["rows"].values())  # classes stay


def test_maps_get_fewer_points_where_the_file_would_be_too_large(example: Thaw, both: dict[bool, bytes],
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    card = recorded.card()
    assert card is not None
    material = example.share._material(RECORDED, [card.runs[4]], "")
    monkeypatch.setattr(report, "MOST_BYTES", 1)
    monkeypatch.setattr(report, "POINTS", (None, 100))
    page = Page(report.make(material))
    assert "625 rows; 100 of them, chosen at random, are drawn, so that this file stays below 15 MB" in page.text
    found = next(data for name, data in page.data.items() if name.endswith("-map"))
    assert len(found["keys"]) == len(page.data[found["rows"]]["rows"]) == 100
    monkeypatch.setattr(report, "POINTS", (None, 0))
    page = Page(report.make(material))
    assert "is left out, so that this file stays below 15 MB" in page.text
    assert report_maps._some(10, 3) == report_maps._some(10, 3) and len(report_maps._some(10, None)) == 10


def test_hostile_names_classes_and_texts_are_words(settings: Settings) -> None:
    dataset = write_dataset(settings, n_rows=90)
    ended = put_runs(settings, dataset)
    thaw = Thaw(settings)
    thaw.runs.rename(WORKSPACE, ended.done[1], HOSTILE)
    thaw.experiments.rename(WORKSPACE, thaw.experiments.all(WORKSPACE)[0].id, HOSTILE)
    for id in ended.done:
        folder = Path(thaw.runs.get(WORKSPACE, id).folder)
        files.write_json(folder / "artifact" / "labels.json", {"classes": [HOSTILE, "</script><b>x", "&amp;"]})
    data = thaw.share.report(WORKSPACE, [*ended.done, ended.failed])
    page = check(data)
    assert HOSTILE in page.text and b"<script>alert" not in data and b"<img" not in data
    assert "has no result: The run ran out of memory." in page.text
    assert "No map: " in page.text


def test_language_runs_show_what_they_forgot_and_what_they_answer(settings: Settings) -> None:
    dataset = write_dataset(settings, n_rows=30)
    import dataclasses

    from core.domain.dataset import Task
    ids = put_language_runs(settings, dataclasses.replace(dataset, task=Task.LANGUAGE_MODELLING))
    thaw = Thaw(settings)
    folder = Path(thaw.runs.get(WORKSPACE, ids["lora"]).folder)
    (folder / "samples.jsonl").write_text("\n".join(json.dumps(
        {"step": step, "answers": [{"prompt": "Once upon", "seed": None, "text": text, "ended": True}]})
        for step, text in ((0, "a time"), (60, f"a king {HOSTILE}"))))
    with_rows, without = (thaw.share.report(WORKSPACE, list(ids.values()), rows=rows) for rows in (True, False))
    page = check(with_rows)
    assert "What it cost elsewhere" in page.text and "What they answer" in page.text and HOSTILE.split()[0] in page.text
    assert "4.88 M trained parameters" in page.text and b"None</span>" not in with_rows  # what it cost is stated
    assert "What they answer" not in check(without).text and b"Once upon" not in without


def test_a_folder_of_this_machine_is_not_named(settings: Settings) -> None:
    ended = put_runs(settings, write_dataset(settings, n_rows=90))
    thaw, place = Thaw(settings), "/home/somebody/models/own"
    database = thaw._desk.store.database
    for id in ended.done:
        recipe = thaw.runs.get(WORKSPACE, id).recipe
        assert isinstance(recipe, Recipe)
        database.execute("UPDATE jobs SET recipe = ? WHERE id = ?",
                         (json.dumps(recipe.replace(base_model=place).to_json()), id))
    data = thaw.share.report(WORKSPACE, ended.done)
    assert b"somebody" not in data and "…/own" in data.decode()
    assert str(settings.home).encode() not in data


def test_a_shift_set_that_was_made_is_called_so(settings: Settings) -> None:
    ended, thaw = put_runs(settings, write_dataset(settings, n_rows=90)), Thaw(settings)
    assert "The shift set is" not in Page(thaw.share.report(WORKSPACE, ended.done)).text
    for id in ended.done:
        path = Path(thaw.runs.get(WORKSPACE, id).folder) / "result.json"
        result = json.loads(path.read_text())
        result["metrics"]["shift"] = result["metrics"]["test"]
        path.write_text(json.dumps(result | {"shift_made": "made: typos, severity 3"}))
    text = Page(thaw.share.report(WORKSPACE, ended.done)).text
    assert text.count("The shift set is made: typos, severity 3: the test rows, changed by a rule") == 1


def test_without_a_result_there_is_nothing_to_share(settings: Settings) -> None:
    ended = put_runs(settings, write_dataset(settings, n_rows=90))
    with pytest.raises(DataError, match="nothing to share"):
        Thaw(settings).share.report(WORKSPACE, [ended.failed])


def test_headings_do_not_skip_a_level() -> None:
    document = Document("x")
    for level in (4, 2, 3, 2):
        document.heading("y", level)
    assert check(document.bytes()).headings == [1, 2, 2, 3, 2]


def test_pictures_are_listed_from_one_sheet_for_all_runs(settings: Settings) -> None:
    dataset = write_picture_dataset(settings, n_rows=6)
    folder = settings.workspace(WORKSPACE) / "datasets" / dataset.id
    paths = tuple(str(path) for path in sorted(folder.rglob("*.png"))[:4])
    assert len(paths) == 4
    rows = report_maps.Rows(keys=list("abcd"), labels=["x"] * 4, texts=[""] * 4, hover=[""] * 4, said=[""] * 4,
                            pictures=paths, cache=settings.cache)
    document, kept = Document("x"), {}
    assert report_maps._shared(document, rows, [0, 3], kept) == report_maps._shared(document, rows, [0, 3], kept)
    shared = check(document.bytes()).data["rows-1"]
    assert shared["sheet"]["url"].startswith("data:image/webp;base64,") and shared["rows"]["d"] == ["x", "", 1]
