"""Every page for everybody: axe finds nothing serious at two widths in both themes, and phones and screen readers get
what Streamlit's own parts leave out; the freeze grid of a deep model by mouse and keyboard. One server and one browser
for all of it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from core import files
from core.analysis import feature_paths
from core.analysis.feature_files import BlockFeatures
from core.api import Thaw
from core.domain.dataset import Task
from core.domain.model import Block, ModelFacts
from core.models import facts as model_facts
from core.settings import Settings
from core.tasks import teaching_report
from pages._ui.sitemap import HOME, PAGES
from tests.conftest import WORKSPACE, write_dataset, write_language_dataset
from tests.e2e.conftest import Server, end, start
from tests.e2e.test_browser import SLOW, pick, settled
from tests.ui.conftest import put_facts, put_language_runs, put_runs, put_token_predictions
from tests.ui.test_features_lens import put_words
from tests.ui.test_teaching import survey

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

GRAVE = ("serious", "critical")
ALSO = ("heading-order", "page-has-heading-one")
"""Rules that axe calls moderate."""
DEEP = "tiny/eighty-blocks"


class Site:
    """A server with runs that have ended on a dataset with labels, and on one for language models."""

    def __init__(self, server: Server, *, language: dict[str, str], **ids: str) -> None:
        self.server, self.ids, self.language = server, ids, language

    def open(self, page: Page, name: str, **more: str) -> None:
        path, shows = "" if name == HOME else name, PAGES[name].shows
        if shows:
            more = {shows: self.ids[shows]} | more
        named = "".join(f"&{key}={value}" for key, value in more.items())
        page.goto(self.server.url(f"{path}?ws={WORKSPACE}{named}"))
        expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=SLOW)
        settled(page)
        page.wait_for_function("""() => !document.querySelector('[data-stale=true]')
                                        && document.querySelector('.st-key-access')""", timeout=SLOW)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = Settings(home=tmp_path_factory.mktemp("access") / "home", hub=False)
    put_facts(settings)
    dataset = write_dataset(settings, n_rows=90)
    language = put_language(settings)
    server = start(settings.home)
    run = put_runs(settings, dataset).done[1]
    experiment = Thaw(settings).runs.get(WORKSPACE, run).experiment
    yield Site(server, language=language, dataset=dataset.id, run=run, experiment=str(experiment), lesson="transfer",
               room=put_room(settings))
    end(server)


def put_room(settings: Settings) -> str:
    """A room with somebody in it who has predicted; its code."""
    api, guest = Thaw(settings), "guest-workspace-1"
    room = api.rooms.open(WORKSPACE, "transfer")
    api.rooms.join(guest, room.code, "Ada")
    api.lessons.predict(guest, "transfer", {"scratch": 0.3, "full": 0.9, "probe": 0.8})
    return room.code


def put_language(settings: Settings) -> dict[str, str]:
    """A dataset of passages whose mask was looked at, a run on it with features and words, and a model of 80 blocks."""
    facts = model_facts.published("smollm2")
    assert facts is not None
    model_facts.write(facts, settings)
    model_facts.write(deep(facts), settings)
    dataset = write_language_dataset(settings, n_rows=40, shift_rows=8)
    run = Thaw(settings).runs.get(WORKSPACE, put_language_runs(settings, dataset)["lora"])
    folder = Path(run.folder)
    assert run.recipe is not None
    files.write_json(folder / "recipe.json", run.recipe.to_json())
    files.write_json(folder / "artifact" / "labels.json", {"classes": [], "precision": "bf16"})
    put_token_predictions(folder, dataset, settings=settings, factor=0.9)
    looked = teaching_report.folder(settings.cache, dataset_hash=dataset.content_hash, revision=facts.revision,
                                    limit=256)
    for there in (folder, looked):
        files.write_json(there / teaching_report.FILE, survey())
    where, rng = feature_paths.of_run(folder, settings=settings, rows=2000), np.random.default_rng(0)
    base = {block.name: rng.standard_normal((48, 12)) for block in facts.blocks}
    BlockFeatures(row_ids=np.arange(48), blocks=base).save(where.base)
    moved = base | {"block 29": base["block 29"] + rng.standard_normal((48, 12))}
    BlockFeatures(row_ids=np.arange(48), blocks=moved).save(where.tuned)
    put_words(settings, run.id)
    return {"dataset": dataset.id, "run": run.id, "experiment": str(run.experiment)}


def deep(facts: ModelFacts) -> ModelFacts:
    """A language model of 80 blocks."""
    body = tuple(Block(index=i + 1, name=f"block {i}", parameters=3_000, linear_parameters=2_900) for i in range(80))
    return dataclasses.replace(facts, id=DEEP, revision="test", tasks=(Task.LANGUAGE_MODELLING,),
                               blocks=(facts.blocks[0], *body), flops_per_block={}, activation_bytes_per_block={})


@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious_on_any_page(site: Site, browser: Browser, width: int) -> None:
    """Each page is opened once a width; the dark theme changes colours only."""
    context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    page, found, titles = context.new_page(), [], []
    for name in PAGES:
        page.emulate_media(color_scheme="light")
        site.open(page, name)
        titles.append(page.title())
        found += grave(page, name)
    context.close()
    assert found == []
    assert len(set(titles)) == len(PAGES) and all("Thaw" in title for title in titles), titles


LOOKS = """() => Array.from(document.querySelectorAll('body *'), e => {
  const s = getComputedStyle(e); return s.color + s.backgroundColor + s.opacity;}).join()"""
"""The colours of everything on the page."""
DARK = """() => {const [r, g, b] = getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor
  .match(/[\\d.]+/g).map(Number); return r + g + b < 384;}"""


def in_theme(page: Page, theme: Literal["light", "dark"]) -> None:
    """Turn the page to a theme and wait until nothing on it changes its colours any more."""
    page.emulate_media(color_scheme=theme)
    page.wait_for_function(DARK if theme == "dark" else f"() => !({DARK})()")
    looks, before = page.evaluate(LOOKS), None
    for _ in range(50):
        if looks == before:
            break
        page.wait_for_timeout(200)
        looks, before = page.evaluate(LOOKS), looks


def grave(page: Page, name: str) -> list[str]:
    """What axe finds on the open page, in both themes."""
    found = []
    themes: tuple[tuple[Literal["light", "dark"], dict[str, list[str]]], ...] = (
        ("light", {}), ("dark", {"runOnly": ["color-contrast"]}))
    for theme, rules in themes:
        in_theme(page, theme)
        checked = Axe().run(page, options={"resultTypes": ["violations"], "preload": False, **rules})
        found += [f"{name} {theme}: {rule['id']}: {node['html'][:200]} {node['failureSummary'][:200]}"
                  for rule in checked.response["violations"]
                  if rule["impact"] in GRAVE or rule["id"] in ALSO for node in rule["nodes"]]
    return found


@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious_on_the_pages_of_a_language_model(site: Site, browser: Browser, width: int) -> None:
    """The mask on the dataset's and the run's page, the grid of thirty blocks, answers, what each block says."""
    context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    page, found = context.new_page(), []
    for name in ("dataset", "train", "run", "compare", "features"):
        page.emulate_media(color_scheme="light")
        site.open(page, name, **site.language)
        if name == "run":
            page.get_by_text("Which tokens teach").first.click()
        if name in ("dataset", "run"):
            expect(page.get_by_test_id("stMetric").filter(has_text="Taught tokens")).to_be_visible(timeout=SLOW)
            expect(page.locator("mark").first).to_be_visible(timeout=SLOW)
        if name == "train":
            expect(page.get_by_role("button", name="Train block 29")).to_be_visible(timeout=SLOW)
        if name == "features":
            box = page.get_by_role("combobox", name="Colour").bounding_box()
            assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width, "cut at an edge"
            page.get_by_role("tab", name="Measure it").click()
            page.get_by_text("What each block says").click()
            expect(page.get_by_text("beside the base model that it started from")).to_be_visible(timeout=SLOW)
            expect(page.get_by_text("the dotted line is chance")).to_be_visible(timeout=SLOW)
        found += grave(page, name)
    context.close()
    assert found == []


def test_the_freeze_grid_at_eighty_blocks(site: Site, page: Page) -> None:
    """A range by dragging, one with Shift, every other block, some by search, some by keyboard: Python gets each."""
    page.set_default_timeout(SLOW)
    site.open(page, "train", dataset=site.language["dataset"])
    pick(page.get_by_role("combobox", name="Base model"), re.compile("^Another"))
    page.get_by_role("textbox", name="Hub id or folder").fill(DEEP)
    page.get_by_role("textbox", name="Hub id or folder").press("Enter")
    said = page.get_by_test_id("stMarkdown").filter(has_text="parameters train")
    expect(said).to_contain_text("embeddings, blocks 0–39 frozen", timeout=SLOW)

    def cell(block: int) -> Locator:
        return page.get_by_role("button", name=f"Train block {block}", exact=True)

    cell(50).scroll_into_view_if_needed()
    cell(50).hover()
    page.mouse.down()
    for block in (52, 57, 55):  # there and a little back
        cell(block).hover()
    page.mouse.up()
    expect(said).to_contain_text("embeddings, blocks 0–39, blocks 50–55 frozen", timeout=SLOW)
    cell(70).click()
    cell(75).click(modifiers=["Shift"])
    expect(said).to_contain_text("blocks 50–55, blocks 70–75 frozen", timeout=SLOW)

    page.get_by_role("button", name="Every other", exact=True).click()
    expect(said).to_contain_text("every other block of", timeout=SLOW)
    for block in range(80):  # the sentence and the grid are drawn one after another
        expect(cell(block)).to_have_attribute("aria-pressed", "true" if block % 2 == 0 else "false", timeout=SLOW)
    page.get_by_role("button", name="None", exact=True).click()
    expect(said).to_contain_text("nothing frozen", timeout=SLOW)

    page.get_by_role("textbox", name="Some blocks").fill("77-79, 3")
    page.get_by_role("textbox", name="Some blocks").press("Enter")
    page.get_by_role("button", name="Freeze them").click()
    expect(said).to_contain_text("block 3, blocks 77–79 frozen", timeout=SLOW)

    cell(0).focus()
    for key in ("ArrowRight", "Space", *["ArrowRight"] * 4, "Shift+Space"):
        page.keyboard.press(key)
    expect(said).to_contain_text("blocks 1–5, blocks 77–79 frozen", timeout=SLOW)
    page.keyboard.press("End")
    expect(cell(79)).to_be_focused()
    page.keyboard.press("Space")
    expect(said).to_contain_text("blocks 1–5, blocks 77–78 frozen", timeout=SLOW)


def test_a_phone(site: Site, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    site.open(page, "train")
    expect(page.locator("label [data-testid=stTooltipIcon]").first).to_be_visible(timeout=SLOW)
    toggle = page.locator("label:has([data-testid=stTooltipIcon]) input").first
    before = toggle.is_checked()
    page.locator("label [data-testid=stTooltipIcon]").first.tap()
    expect(page.get_by_test_id("stTooltipContent")).to_be_visible()
    assert toggle.is_checked() is before, "a help mark explains its box, it does not tick it"
    page.get_by_test_id("stMainBlockContainer").tap(position={"x": 4, "y": 60}, force=True)
    expect(page.get_by_test_id("stTooltipContent")).to_have_count(0)
    page.get_by_test_id("stExpandSidebarButton").tap()
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Words", exact=True).tap()
    expect(page.get_by_role("heading", level=1, name="Words")).to_be_visible(timeout=SLOW)
    expect(page.get_by_test_id("stExpandSidebarButton")).to_be_visible()
    expect(page.get_by_test_id("stSidebarNav")).not_to_be_in_viewport()
    context.close()


def test_a_screen_reader_and_a_keyboard(site: Site, page: Page) -> None:
    site.open(page, "train", dataset=site.ids["dataset"])
    cell = page.get_by_role("button", name="Train block 0", exact=True)
    expect(cell).to_have_attribute("aria-pressed", re.compile("true|false"), timeout=SLOW)
    before = cell.get_attribute("aria-pressed")
    cell.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    outline = "e => getComputedStyle(e).outlineStyle + getComputedStyle(e).boxShadow"
    assert cell.evaluate(outline) != "nonenone", "the focus is visible"
    page.keyboard.press("Enter")
    expect(cell).to_have_attribute("aria-pressed", "true" if before == "false" else "false", timeout=SLOW)
    after = cell.get_attribute("aria-pressed") or ""
    page.keyboard.press("ArrowRight")
    page.keyboard.press("End")
    page.keyboard.press("Shift+Space")
    for block in (1, 3, 5):
        expect(page.get_by_role("button", name=f"Train block {block}", exact=True)).to_have_attribute(
            "aria-pressed", after, timeout=SLOW)
    expect(page.get_by_role("button", name="The head always trains")).to_have_attribute("aria-pressed", "true")
    assert page.get_by_role("img", name=re.compile("_")).count() == 0, "names of icons are not read out"


def test_the_script_and_the_rules_are_few() -> None:
    lines = [len((Path(__file__).parents[2] / "pages/_ui" / f"access.{kind}").read_text().splitlines())
             for kind in ("css", "js")]
    assert lines[0] <= 20 and lines[1] <= 110
