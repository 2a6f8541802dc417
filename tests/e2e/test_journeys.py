"""Three people's ways through the app, each from an empty data folder, in a real browser: a participant from one press
to the inside of a model, a practitioner from a messy table to an artifact, and somebody who returns to forty runs.

With `THAW_SHOTS` naming a folder, their main stations are photographed: both themes, a desktop and a phone.
"""

from __future__ import annotations

import csv
import io
import os
import re
import signal
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from core import files, lessons
from core.api import Thaw
from core.domain import codec
from core.domain.dataset import Dataset, Task
from core.domain.device import Device
from core.domain.freeze import FreezePlan
from core.domain.recipe import Recipe
from core.domain.run import Failure, JobKind, Status
from core.errors import FailureKind
from core.models.methods import HOME, REGISTRY
from core.planning import names
from core.settings import Settings
from core.store import Store
from core.store.jobs import NewJob
from tests import tiny
from tests.conftest import WORKSPACE, write_dataset
from tests.e2e.conftest import Server, away, end, start
from tests.e2e.test_browser import SLOW, choose, honest, pick, settled
from tests.e2e.test_own_data import bring, sentences, train_and_compare
from tests.ui.conftest import put_facts, put_results

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(2400)]

TRAINED = 1_800_000
"""Milliseconds that six quick runs may take on a busy machine, the fetching of base model and data included."""
MAP = ".st-key-features_map canvas.over"
INTERVAL = r"[01]\.\d+ \([01]\.\d+–[01]\.\d+\)"
SHOTS = os.environ.get("THAW_SHOTS")


def look(page: Page, station: str) -> None:
    """Photograph the page as it is, when asked to."""
    if not SHOTS:
        return
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 1600})
            page.wait_for_timeout(1500)
            page.screenshot(path=Path(SHOTS) / f"{station}-{theme}-{width}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.wait_for_timeout(2000)
    settled(page)


def title(page: Page, name: str | re.Pattern[str]) -> None:
    """The page with this first heading is there."""
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible(timeout=SLOW)


def button(page: Page | Locator, name: str | re.Pattern[str]) -> Locator:
    return page.get_by_role("button", name=name, exact=isinstance(name, str))


def inside(page: Page) -> None:
    """The map of the feature space is drawn."""
    title(page, "Features")
    expect(page.locator(MAP)).to_be_visible(timeout=SLOW)
    honest(page)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """One app on an empty data folder, the newest of the list; participant and practitioner meet it with workspaces of
    their own."""
    running = [start(tmp_path_factory.mktemp("journeys") / "home")]
    yield running
    end(running[-1])


# -- a participant -----------------------------------------------------------------------------------------------------


def test_a_participant_from_the_first_press_to_understanding(servers, page, record_testsuite_property):
    page.set_default_timeout(SLOW)
    page.goto(servers[-1].url())
    the_first_page(page)
    the_recorded_example(page)
    press(page)
    button(page, "Undo the start").click(timeout=10_000)
    title(page, "Thaw")
    expect(page.get_by_text("No runs yet")).to_be_visible(timeout=SLOW)

    began = time.monotonic()
    press(page)
    address = page.url
    the_experiment_as_it_goes(page)
    page.locator("[class*=st-key-row_]").get_by_role("link", name="See inside").first.click()
    inside(page)
    walked = f"{time.monotonic() - began:.0f} s"
    record_testsuite_property("from the press to the first map", walked)
    if SHOTS:
        (Path(SHOTS) / "first-map.txt").write_text(walked)
    look(page, "participant-5-inside")
    page.go_back()
    title(page, "BBC News, MiniLM")

    os.kill(servers[-1].process.pid, signal.SIGKILL)  # runs outlive the pages
    servers[-1].process.wait()
    servers.append(start(servers[-1].home, servers[-1].port))
    page.goto(address)
    the_others(page, servers[-1])
    expect(page.get_by_role("link", name="See inside").first).to_be_visible(timeout=SLOW)
    the_results(page)

    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Home").click()
    title(page, "Thaw")
    page.get_by_role("link", name="Open").first.click()
    title(page, "BBC News, MiniLM")
    mapped = servers[-1].libraries()
    assert "python" in mapped
    for heavy in ("libtorch", "/torch/", "bitsandbytes"):
        assert heavy not in mapped, f"the web process has mapped {heavy}"


def the_first_page(page: Page) -> None:
    """What one will see, one press, and honest minutes; nothing that only experts read."""
    title(page, "Thaw")
    expect(page.get_by_role("img", name=re.compile(rf"Linear probe accuracy {INTERVAL}"))).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(re.compile("6 runs, .*on this machine, after .* are fetched once"))).to_be_visible(
        timeout=SLOW)
    text = honest(page)
    assert "bf16" not in text and "SHA-256" not in text
    look(page, "participant-1-home")


def the_recorded_example(page: Page) -> None:
    """A finished comparison that can be looked at and not changed."""
    page.get_by_role("link", name="No time? Look at a finished example").click()
    expect(page.get_by_text("Not your runs: measured elsewhere")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("6 of 6 done")).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("heading", name="How good")).to_be_visible(timeout=SLOW)
    for change in ("Delete", "Rename", "Duplicate with changes"):
        expect(button(page, change)).to_have_count(0)
    look(page, "participant-2-example")
    page.get_by_role("link", name="See inside").first.click()
    inside(page)
    expect(page.get_by_text("Not your runs: measured elsewhere")).to_be_visible()
    button(page, re.compile("Close$")).click()
    title(page, "Thaw")


def press(page: Page) -> None:
    """The one press, and where it leads."""
    button(page, re.compile("Compare on BBC News with MiniLM")).click(timeout=SLOW)
    expect(page).to_have_url(re.compile(r"/experiment\?.*experiment="), timeout=SLOW)
    title(page, "BBC News, MiniLM")


def the_experiment_as_it_goes(page: Page) -> None:
    """A row a run with what its method does, progress, time left, and the first accuracy while others go on."""
    rows = page.locator("[class*=st-key-row_]")
    expect(rows).to_have_count(6, timeout=SLOW)
    for method in HOME[Task.TEXT_CLASSIFICATION]:
        card = REGISTRY[method].card
        expect(rows.filter(has_text=card.label).get_by_text(card.summary).first).to_be_visible()
    expect(page.get_by_text(re.compile("0 of 6 done · .*waiting"))).to_be_visible(timeout=SLOW)
    look(page, "participant-3-started")
    address = page.url
    page.reload()
    title(page, "BBC News, MiniLM")
    expect(page).to_have_url(address, timeout=SLOW)
    expect(page.get_by_text("left in all")).to_be_visible(timeout=TRAINED)
    expect(rows.get_by_role("progressbar").first).to_be_visible(timeout=SLOW)
    expect(rows.filter(has_text=re.compile(rf"{INTERVAL} test accuracy")).first).to_be_visible(timeout=TRAINED)
    expect(page.get_by_text(re.compile(r"[1-5] of 6 done · ")).first).to_be_visible()
    honest(page)
    look(page, "participant-4-first-result")


def the_others(page: Page, server: Server) -> None:
    """They go on without the pages. Where photographs are taken all six are waited for; else two of them, and the
    others are stopped: what they would take is minutes of training that other tests have on small models."""
    rows = page.locator("[class*=st-key-row_]").filter(has_text=re.compile(INTERVAL))
    if SHOTS:
        expect(page.get_by_text("6 of 6 done")).to_be_visible(timeout=TRAINED)
        expect(rows).to_have_count(6, timeout=SLOW)
        return
    title(page, "BBC News, MiniLM")
    away(page, server, until=2)
    expect(page.get_by_text(re.compile("[2-6] of 6 done"))).to_be_visible(timeout=TRAINED)
    if button(page, "Stop all").count():
        button(page, "Stop all").click()
        expect(button(page, "Stop all")).to_have_count(0, timeout=TRAINED)
    expect(rows.nth(1)).to_be_visible(timeout=SLOW)


def the_results(page: Page) -> None:
    """From numbers to rows: by a press on a cell, and by the outcome of a paired test."""
    page.get_by_role("link", name="See results").click()
    for words in ("How good", "Is one really better?", "Which errors", "Which rows", "What differs between"):
        expect(page.get_by_role("heading", name=words)).to_be_visible(timeout=SLOW)
    settled(page)
    honest(page)
    look(page, "participant-6-results")
    matrix = page.locator("[class*=st-key-confusion_]").first
    matrix.scroll_into_view_if_needed()
    cell = matrix.locator(".textpoint text").first.bounding_box()
    assert cell is not None
    page.mouse.click(cell["x"] + cell["width"] / 2, cell["y"] + cell["height"] / 2)
    expect(page.get_by_text(re.compile("taken for|rightly so called")).first).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("region", name=re.compile(r"rows-.*-as-.*: \d+ rows"))).to_be_visible(timeout=SLOW)
    page.get_by_text(re.compile(r"^(Only .* is right|Both are wrong): \d+ rows?$")).first.click()
    expect(page.get_by_role("region", name=re.compile(r"rows-(only|both).*: \d+ rows"))).to_be_visible(timeout=SLOW)
    honest(page)
    look(page, "participant-7-rows")


# -- a class -----------------------------------------------------------------------------------------------------------


def test_a_question_is_asked_and_answered(servers, page):
    """The runs of two methods on 32 labels, one seed, and what they support saying."""
    page.set_default_timeout(SLOW)
    page.goto(servers[-1].url("ask"))
    title(page, "Ask")
    page.get_by_role("spinbutton", name="Seeds").fill("1")
    page.keyboard.press("Enter")
    expect(page.get_by_text("One seed says nothing about what another would give.")).to_be_visible(timeout=SLOW)
    page.get_by_text("Methods, labels, learning rates").click()
    choose(page.get_by_role("combobox", name="Methods", exact=True), "Linear probe", "Partly frozen")
    choose(page.get_by_role("combobox", name="Label budgets (training + validation)"), "32")
    button(page, "Start 2 runs").click(timeout=SLOW)
    title(page, re.compile("^Which method"))
    expect(page.get_by_role("heading", name="Which method?", exact=True)).to_be_visible(timeout=SLOW)
    button(page, "Pause").click()  # what waits leaves the queue, and goes back into it
    button(page, re.compile(r"^Resume \d runs?$")).click()
    expect(button(page, re.compile(r"^Resume \d runs?$"))).to_have_count(0, timeout=SLOW)
    away(page, servers[-1])
    expect(page.get_by_text(re.compile("over one seed, which says nothing about another"))).to_be_visible(
        timeout=TRAINED)
    expect(page.get_by_text("of each arm, with 95 % intervals over rows, of one seed")).to_be_visible(timeout=TRAINED)
    expect(page.get_by_text(re.compile(r"^So far, with"))).to_have_count(0, timeout=TRAINED)
    expect(page.get_by_role("heading", name="Verdict")).to_be_visible(timeout=SLOW)
    assert len(re.findall(r"\b(?:better|worse|cannot tell)\b", honest(settled(page)))) >= 1
    honest(page)
    look(page, "class-1-answer")


def test_a_room_of_five_takes_a_lesson(servers, browser, page):
    """Five people predict, one of them trains, and all see what the teacher shows."""
    page.set_default_timeout(SLOW)
    page.goto(servers[-1].url("lessons"))
    title(page, "Lessons")
    button(page, "Open a room").click()
    title(page, re.compile("^Room "))
    code = parse_qs(urlsplit(page.url).query)["room"][0]
    contexts = [browser.new_context(viewport={"width": width, "height": 900}) for width in (1280, 390, 390, 390, 1280)]
    guests = [context.new_page() for context in contexts]
    for number, guest in enumerate(guests, 1):
        guest.set_default_timeout(SLOW)
        guest.goto(servers[-1].url("lessons"))
        guest.get_by_label("Code").fill(f"{code[:3]} {code[3:]}".lower())
        guest.get_by_label("Your name").fill(f"Guest {number}")
        button(guest, "Join").click()
        title(guest, "Transfer against scratch")
        expect(guest.get_by_text(f"You are Guest {number}; your seed is {number}.")).to_be_visible(timeout=SLOW)
        slider = guest.get_by_role("slider", name="From scratch")
        slider.focus()
        for _ in range(5 * number):
            guest.keyboard.press("ArrowLeft")
        expect(slider).to_have_value(f"{0.5 - 0.05 * number:g}")
        settled(guest)
        button(guest, "This is my prediction").click()
        expect(guest.get_by_role("heading", name="What the paper says")).to_be_visible(timeout=SLOW)
        assert guest.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        honest(guest)
    expect(page.get_by_text("Test accuracy: what 5 people predict")).to_be_visible(timeout=SLOW)
    learner = guests[0]
    button(learner, re.compile("^Start 3 runs")).click()
    expect(learner.get_by_text(re.compile(r"[0-2] of 3 runs are measured here"))).to_be_visible(timeout=SLOW)
    away(learner, servers[-1], page, *guests[1:])
    expect(learner.get_by_text("3 of 3 runs are measured here")).to_be_visible(timeout=TRAINED)
    expect(learner.get_by_text(re.compile("^Your prediction is"))).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("3 runs of the room, pooled: 1 seed of each arm.")).to_be_visible(timeout=SLOW)
    button(page, "Show it to everybody").click()
    for guest in guests:
        expect(guest.get_by_role("heading", name="The room")).to_be_visible(timeout=SLOW)
        honest(guest)
    look(page, "class-2-room")
    look(learner, "class-3-lesson")
    with learner.expect_download() as download:
        button(learner, "Take it home as one HTML file").click()
    taken = Path(download.value.path()).read_text(encoding="utf-8")
    assert "Transfer against scratch" in taken and "Howard and Ruder 2018" in taken
    assert not any(parse_qs(urlsplit(guest.url).query)["ws"][0] in taken + honest(page) for guest in guests)
    button(page, "End it now").click()
    expect(page.get_by_text(re.compile("This room has ended"))).to_be_visible(timeout=SLOW)
    for context in contexts:
        context.close()


def test_every_lesson_can_be_looked_at_without_training(servers, page):
    """With what comes with Thaw, where a room is short of compute."""
    page.set_default_timeout(SLOW)
    for name, lesson in lessons.REGISTRY.items():
        page.goto(servers[-1].url(f"lesson?lesson={name}"))
        title(page, lesson.title)
        button(page, "Go on without one").click()
        expect(page.get_by_role("heading", name="What the paper says")).to_be_visible(timeout=SLOW)
        if lessons.stored(name):
            expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=SLOW)
        honest(page)


# -- a practitioner ----------------------------------------------------------------------------------------------------

TOPICS = ("cluster", "decomposition", "linear_model")
LEAKED, REPEATED, TORN, SPELT, SHIFT_LEAKED = 4, 3, 2, 5, 6


def table(rows: list[tuple[str, ...]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def messy() -> bytes:
    """Real prose on three topics with a split column, and what goes wrong in real tables: rows twice, training rows
    among the test rows, one text under two labels, labels spelt in two ways, and a class of two rows."""
    rows = [(text, topic, "test" if i % 4 == 3 else "train")
            for topic in TOPICS for i, text in enumerate(sentences(topic, 56))]
    trained = [row for row in rows if row[2] == "train"]
    spelt = [(text, "Cluster ", split) for text, topic, split in trained[:SPELT]]
    rows[:] = [row for row in rows if row not in trained[:SPELT]] + spelt
    rows += trained[10:10 + REPEATED]
    rows += [(text, topic, "test") for text, topic, _ in trained[20:20 + LEAKED]]
    rows += [(text, "linear_model", split) for text, _, split in trained[30:30 + TORN]]
    rows += [(f"{text} It is of no topic.", "other", "train") for text in sentences("svm", 2)]
    return table([("paragraph", "topic", "split"), *rows])


def elsewhere() -> bytes:
    """A shift file: the same topics from other paragraphs, training rows among them, and a label that is no class."""
    rows = [(text, topic) for topic in TOPICS for text in sentences(topic, 72)[58:]]
    rows += [(text, topic) for topic in TOPICS for text in sentences(topic, 56)[8:10]]
    rows += [(text, "svm") for text in sentences("svm", 4)]
    return table([("paragraph", "topic"), *rows])


def decide(page: Page, finding: str, what: str) -> None:
    """Choose what to do about a finding."""
    pick(page.get_by_role("combobox", name=re.compile(f"What to do: .*{finding}")), re.compile(what))
    expect(page.get_by_text("Nothing is changed until you apply")).to_be_visible(timeout=SLOW)
    settled(page)


def test_a_practitioner_from_a_messy_table_to_an_artifact(servers, page, tmp_path):
    server = servers[-1]
    (tmp_path / "topics.csv").write_bytes(messy())
    (tmp_path / "blog.csv").write_bytes(elsewhere())
    page.set_default_timeout(SLOW)
    page.goto(server.url("data"))
    bring(page, server, tmp_path / "topics.csv")
    button(page, "Open the dataset").click()
    the_mends(page)
    the_shift_set(page, tmp_path / "blog.csv")
    train_and_compare(page, server, without=("Partly frozen", "Full fine-tuning"))
    expect(page.get_by_text(re.compile(rf"{SHIFT_LEAKED} of \d+ shift rows repeat a training row")).first
           ).to_be_visible(timeout=SLOW)
    look(page, "practitioner-4-results")
    address = page.url
    page.locator("[class*=st-key-row_]").get_by_role("link", name="Use it").first.click()
    what_is_taken_home(page, server)
    page.goto(address)
    a_changed_copy(page)


def the_mends(page: Page) -> None:
    """Findings, their rows, what is chosen, what Apply changed, and Undo."""
    expect(page.get_by_role("heading", name="Rows by class and split")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("5 classes of texts")).to_be_visible()
    page.get_by_text(re.compile(r"^Show rows \(")).first.click()
    expect(page.get_by_role("region", name=re.compile(f"Rows of the finding: {LEAKED} rows have the same text"))
           ).to_be_visible(timeout=SLOW)
    look(page, "practitioner-1-findings")
    decide(page, "group of labels differs", "Merge the spellings")
    apply(page, classes=4)
    button(page, "Undo").click()
    expect(page.get_by_text("5 classes of texts")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("What was changed")).to_have_count(0, timeout=SLOW)
    decide(page, "group of labels differs", "Merge the spellings")
    decide(page, "have the same text as a row on another side", "Drop these rows")
    decide(page, "have the same text as another row but", "Keep the most frequent label")
    decide(page, "class has fewer than 3 rows", "Drop these classes")
    decide(page, "rows repeat the text of an earlier row", "Drop the repeats")
    expect(page.get_by_text("5 changes chosen")).to_be_visible(timeout=SLOW)
    look(page, "practitioner-2-chosen")
    apply(page, classes=3)
    for finding in ("group of labels differs", "have the same text as a row on another side", "fewer than 3 rows"):
        expect(page.get_by_text(finding)).to_have_count(0, timeout=SLOW)
    honest(page)
    look(page, "practitioner-3-mended")


def apply(page: Page, *, classes: int) -> None:
    """A worker makes the new dataset; the page goes on to it and says what changed."""
    button(page, "Apply").click()
    expect(page.get_by_text("What was changed")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(f"{classes} classes of texts")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(re.compile(r"\d+ rows → \d+ rows")).first).to_be_visible()


def the_shift_set(page: Page, file: Path) -> None:
    """Attached on the dataset's page, after a look at what matters of it: leaks and labels that are no class."""
    page.locator("input[type=file]").set_input_files(str(file))
    button(page, "Look at it").first.click(timeout=SLOW)
    expect(page.get_by_text("Nothing is attached yet")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(re.compile(f"{SHIFT_LEAKED} shift rows have .* of a training row")).first).to_be_visible()
    expect(page.get_by_text("Labels that are no class here")).to_be_visible()
    look(page, "practitioner-3-shift-set")
    page.get_by_text(re.compile(f"Leave out the {SHIFT_LEAKED} rows")).click()  # kept, to see what is said of it later
    settled(page)
    button(page, "Attach it").click()
    expect(page.get_by_text(re.compile(r"\d+ rows\. Every run on this dataset is judged on them"))).to_be_visible(
        timeout=SLOW)
    honest(page)


def what_is_taken_home(page: Page, server: Server) -> None:
    """Predictions and artifact of one run, whole."""
    expect(page.get_by_role("heading", name="Take it home")).to_be_visible(timeout=SLOW)
    settled(page)
    look(page, "practitioner-5-run")
    with page.expect_download() as told:
        button(page, "Predictions as CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(told.value.path()).read_text(encoding="utf-8-sig"))))
    assert len(rows) > 40 and len(rows[0]) > 4 and all(None not in row.values() for row in rows)
    link = page.get_by_role("link", name=re.compile("Artifact as ZIP")).get_attribute("href")
    answer = page.request.get(server.url(str(link).split("/", 3)[-1] if "://" in str(link) else str(link)))
    assert answer.ok
    with zipfile.ZipFile(io.BytesIO(answer.body())) as bundle:
        assert bundle.testzip() is None and any(name.endswith("load.py") for name in bundle.namelist())


def a_changed_copy(page: Page) -> None:
    """Duplicate with changes: the Train page as it was, one method less; undone at once."""
    button(page, "Duplicate with changes").click(timeout=SLOW)
    title(page, "Train")
    expect(page.get_by_text("The choices below are those of")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("All 2 runs ran before")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("Nothing is left to train")).to_be_visible(timeout=SLOW)
    page.get_by_test_id("stCheckbox").filter(has_text="Train them again").locator("label").click()
    expect(button(page, "Start 2 runs")).to_be_visible(timeout=SLOW)
    page.get_by_test_id("stCheckbox").filter(has_text=re.compile("^LoRA")).locator("label").click()
    button(page, "Start 1 run").click(timeout=SLOW)
    title(page, "topics, minilm, changed")
    button(page, "Undo the start").click(timeout=10_000)
    title(page, "Train")


# -- somebody who returns ----------------------------------------------------------------------------------------------

ENDS = {"partial": (Status.STOPPED, None),
        "qlora": (Status.FAILED, Failure(kind=FailureKind.FETCH, what="The base model could not be fetched.",
                                         why="The hub did not answer.", remedy="Try again later.")),
        "full": (Status.FAILED, Failure(kind=FailureKind.OUT_OF_MEMORY, what="The run ran out of memory.",
                                        why="It needed more than there was.", remedy="Use LoRA.")),
        "scratch": (Status.INTERRUPTED, Failure(kind=FailureKind.INTERRUPTED, what="The machine was switched off.",
                                                why="Its process was gone.", remedy="Resume the run."))}
"""Method -> how its run of the experiment "All ways" ended early."""


def put_ended(settings: Settings, dataset: Dataset, name: str, recipes: list[Recipe],
              ends: dict[str, tuple[Status, Failure | None]] | None = None) -> list[str]:
    """An experiment whose runs have ended, as queue and engine leave them: all with results, but those in `ends`."""
    store = Store(settings)
    experiment = store.experiments.create(WORKSPACE, name)
    ids = store.jobs.submit([NewJob(workspace=WORKSPACE, kind=JobKind.TRAIN, name=names.of_recipe(recipe),
                                    recipe=recipe, experiment=experiment,
                                    runs_folder=settings.workspace(WORKSPACE) / "runs") for recipe in recipes])
    for place, (id, recipe) in enumerate(zip(ids, recipes, strict=True)):
        claim = store.queue.claim(supervisor="test", host="test", slots=1)
        assert claim is not None and claim.run.id == id
        store.queue.begin(id, fence=claim.fence, pid=os.getpid(), pid_created=0.0)
        store.events.append(id, [(time.time(), "phase", {"phase": "preparing"})])
        status, failure = (ends or {}).get(recipe.method, (Status.DONE, None))
        if status is Status.DONE:
            put_results(Path(claim.run.folder), dataset, wrong=place % 4)
        store.queue.finish(id, fence=claim.fence, status=status, failure=failure)
    return ids


@dataclass
class Past:
    """A server on forty runs of thirteen experiments: two of them trained for real, all others put on disk."""

    server: Server
    api: Thaw
    ways: dict[str, str]
    """Method -> its run of the experiment "All ways"."""
    grid: list[str]
    """Runs of two methods with three seeds and two label budgets."""
    old: list[str]
    real: list[str]

    def open(self, page: Page, name: str, **named: str) -> None:
        page.goto(self.server.url(f"{name}?" + "&".join(f"{k}={v}" for k, v in {"ws": WORKSPACE, **named}.items())))

    def experiment(self, run: str) -> str:
        return str(self.api.runs.get(WORKSPACE, run).experiment)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    import torch

    settings = Settings(home=tmp_path_factory.mktemp("past") / "home", hub=False)
    put_facts(settings)
    model, dataset = tiny.bert(settings.home / "models" / "tiny-bert"), write_dataset(settings, n_rows=90)
    device = Device(kind="cpu", name="test", memory_bytes=8_000_000_000, cores=1, fp32_gflops=50.0, bf16_gflops=50.0,
                    precision="fp32", versions={"torch": torch.__version__}, measured=0.0)
    files.write_json(settings.home / "device.json", codec.to_json(device))
    minilm = Recipe(dataset=dataset.id, base_model="minilm", method="probe")
    half = FreezePlan(frozen=("embeddings", "block 0", "block 1"))
    old = [put_ended(settings, dataset, f"Older {n}", [minilm, minilm.replace(method="lora")]) for n in range(10)]
    grid = put_ended(settings, dataset, "Seeds and budgets", [
        minilm.replace(method=method, seed=seed, label_budget=budget)
        for budget in (None, 32) for seed in range(3) for method in ("probe", "lora")])
    recipes = [minilm.replace(method=method) for method in ("probe", "lora", *ENDS)]
    ways = put_ended(settings, dataset, "All ways", recipes, ENDS)
    tuned = Recipe(dataset=dataset.id, base_model=str(model), method="lora", max_length=32, precision="fp32",
                   batch_size=16, learning_rate=2e-3)
    api = Thaw(settings)
    real = api.experiments.submit(WORKSPACE, [tuned, tuned.replace(method="partial", freeze=half)], name="Tuned twice")
    server = start(settings.home)
    yield Past(server, api, dict(zip((r.method for r in recipes), ways, strict=True)), grid, old[0], list(real))
    end(server)


def test_somebody_returns_to_forty_runs(past, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900},
                                  permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(SLOW)
    assert len(past.api.runs.all(WORKSPACE, kind=JobKind.TRAIN)) == 40
    the_list(page, past)
    what_went_wrong(page, past)
    a_name_everywhere(page, past)
    seeds_and_budgets(page, past)
    two_tuned_models(page, past)
    away_with_it(page, past)
    context.close()


def the_list(page: Page, past: Past) -> None:
    """Every run is counted by how it ended; older experiments come with a press."""
    past.open(page, "")
    expect(page.get_by_text("2 of 6 done · 2 failed · 1 interrupted · 1 stopped")).to_be_visible(timeout=SLOW)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Runs", exact=True).click()
    title(page, "Runs")
    expect(page.get_by_text("2 of 6 done · 2 failed · 1 interrupted · 1 stopped")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("Older 0", exact=True)).to_have_count(0)
    look(page, "returning-1-runs")
    button(page, "Show older (5 more)").click()
    expect(page.get_by_text("Older 0", exact=True)).to_be_visible(timeout=SLOW)
    honest(page)


def what_went_wrong(page: Page, past: Past) -> None:
    """A failed run says why on every page that shows it, its report copies, and Resume is first where it can help."""
    page.locator(f"a[href*='experiment={past.experiment(past.ways['full'])}']").first.click()
    title(page, "All ways")
    failed = page.locator(f".st-key-row_{past.ways['full']}")
    expect(failed).to_contain_text("The run ran out of memory.", timeout=SLOW)
    expect(failed).to_contain_text("failed, while preparing")
    expect(button(page, "Resume 3 runs")).to_be_visible()  # not the one that would fail again
    expect(page.get_by_text(re.compile("Not in these results: .*memory.*switched off"))).to_be_visible(timeout=SLOW)
    look(page, "returning-2-experiment")
    failed.get_by_role("link").first.click()
    title(page, re.compile("Full fine-tuning"))
    expect(page.get_by_role("alert")).to_contain_text("It needed more than there was.", timeout=SLOW)
    settled(page)
    look(page, "returning-3-failed")
    assert place(page, "Fork") < place(page, "Resume")
    button(page, re.compile("Report$")).click()
    code = page.get_by_role("dialog").get_by_test_id("stCode")
    code.hover(timeout=SLOW)
    code.get_by_role("button").last.click()
    report = page.evaluate("navigator.clipboard.readText()")
    assert "ran out of memory" in report and "torch" in report and str(past.server.home) not in report
    page.keyboard.press("Escape")
    page.go_back()
    title(page, "All ways")
    past.open(page, "run", run=past.ways["scratch"])
    title(page, re.compile("From scratch"))
    assert place(page, "Resume") < place(page, "Fork")


def place(page: Page, word: str) -> float:
    """How far right the button with this word stands in the row of a run's actions."""
    box = button(page.get_by_test_id("stMain"), re.compile(f"{word}$")).bounding_box(timeout=SLOW)
    assert box is not None
    return box["x"]


def a_name_everywhere(page: Page, past: Past) -> None:
    """A run that is renamed is called so on its experiment's page, in the list, in results and where features are."""
    past.open(page, "run", run=past.ways["lora"])
    button(page, re.compile("Rename$")).click(timeout=SLOW)
    page.get_by_role("dialog").get_by_label("New name", exact=True).fill("The *best* one")
    page.get_by_role("dialog").get_by_label("New name", exact=True).press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Save", exact=True).click()
    title(page, "The *best* one")
    page.reload()
    title(page, "The *best* one")
    page.get_by_role("link", name="The experiment All ways").click()
    title(page, "All ways")
    expect(page.locator(f".st-key-row_{past.ways['lora']}").get_by_role("link", name="The *best* one")).to_be_visible(
        timeout=SLOW)
    expect(page.get_by_test_id("stMultiSelect").get_by_text("The *best* one")).to_be_visible(timeout=SLOW)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Runs", exact=True).click()
    expect(page.get_by_role("link", name="The *best* one")).to_be_visible(timeout=SLOW)


def seeds_and_budgets(page: Page, past: Past) -> None:
    """A choice of runs across experiments by its link: seeds as one line, accuracy over labelled rows."""
    past.open(page, "compare", runs=",".join([*past.grid, past.ways["lora"]]))
    title(page, "Compare")
    for words in ("Seeds together", "How good", "How many labels"):
        expect(page.get_by_role("heading", name=words)).to_be_visible(timeout=SLOW)
    chart = page.get_by_label(re.compile("test accuracy.*Linear probe"))
    expect(chart.first).to_be_visible(timeout=SLOW)  # charts speak to a screen reader
    settled(page)
    honest(page)
    look(page, "returning-4-compare")
    address = page.url
    page.reload()
    expect(page.get_by_role("heading", name="Seeds together")).to_be_visible(timeout=SLOW)
    expect(page).to_have_url(address, timeout=SLOW)


def two_tuned_models(page: Page, past: Past) -> None:
    """Features of two tuned models side by side, from their results; no word of it takes one for the base model."""
    past.open(page, "experiment", experiment=past.experiment(past.real[0]))
    expect(page.get_by_text("2 of 2 done")).to_be_visible(timeout=300_000)
    page.get_by_role("link", name="How do their features differ?").click(timeout=SLOW)
    inside(page)
    settled(page)
    look(page, "returning-5-two-models")
    said = page.locator(".st-key-features_map .map").get_attribute("aria-label") or ""
    page.go_back()
    title(page, "Tuned twice")
    assert "base" not in said


def away_with_it(page: Page, past: Past) -> None:
    """A run, then a whole experiment, each after a question."""
    past.open(page, "run", run=past.ways["qlora"])
    button(page, re.compile("Delete$")).click(timeout=SLOW)
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    title(page, "All ways")
    past.open(page, "experiment", experiment=past.experiment(past.old[0]))
    title(page, "Older 0")
    settled(page)
    for answer in ("Keep it", "Delete"):
        button(page.get_by_test_id("stMain"), re.compile("Delete$")).first.click()
        expect(page.get_by_role("dialog")).to_contain_text("with its 2 runs", timeout=SLOW)
        page.get_by_role("dialog").get_by_role("button", name=answer, exact=True).click()
        expect(page.get_by_role("dialog")).to_have_count(0, timeout=SLOW)
    title(page, "Runs")
    expect(page.get_by_text("Older 0", exact=True)).to_have_count(0, timeout=SLOW)
    assert len(past.api.runs.all(WORKSPACE, kind=JobKind.TRAIN)) == 37
    honest(page)
