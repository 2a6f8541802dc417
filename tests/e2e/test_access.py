"""Every page for everybody: axe finds nothing serious at two widths in both themes, and phones and screen readers get
what Streamlit's own parts leave out. One server and one browser for all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from core.api import Thaw
from core.settings import Settings
from pages._ui.sitemap import HOME, PAGES
from tests.conftest import WORKSPACE, write_dataset
from tests.e2e.conftest import Server, end, start
from tests.ui.conftest import put_facts, put_runs

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SLOW = 60_000
GRAVE = ("serious", "critical")
ALSO = ("heading-order", "page-has-heading-one")
"""Rules that axe calls moderate."""
class Site:
    """A server with one dataset and three runs that have ended."""

    def __init__(self, server: Server, **ids: str) -> None:
        self.server, self.ids = server, ids

    def open(self, page: Page, name: str) -> None:
        path, shows = "" if name == HOME else name, PAGES[name].shows
        named = f"&{shows}={self.ids[shows]}" if shows else ""
        page.goto(self.server.url(f"{path}?ws={WORKSPACE}{named}"))
        expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=SLOW)
        page.wait_for_function("""() => !document.querySelector('[data-testid=stStatusWidget], [data-stale=true]')
                                        && document.querySelector('.st-key-access')""", timeout=SLOW)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = Settings(home=tmp_path_factory.mktemp("access") / "home", hub=False)
    put_facts(settings)
    dataset = write_dataset(settings, n_rows=90)
    server = start(settings.home)
    run = put_runs(settings, dataset).done[1]
    experiment = Thaw(settings).runs.get(WORKSPACE, run).experiment
    yield Site(server, dataset=dataset.id, run=run, experiment=str(experiment))
    end(server)


@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious_on_any_page(site: Site, browser: Browser, width: int) -> None:
    """Each page is opened once a width; the dark theme changes colours only."""
    context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    page, found, titles = context.new_page(), [], []
    for name in PAGES:
        page.emulate_media(color_scheme="light")
        site.open(page, name)
        page.wait_for_timeout(300)  # what fades in has done so
        titles.append(page.title())
        for theme, rules in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            page.wait_for_timeout(200)
            checked = Axe().run(page, options={"resultTypes": ["violations"], "preload": False, **rules})
            found += [f"{name} {theme}: {rule['id']}: {node['html'][:200]} {node['failureSummary'][:200]}"
                      for rule in checked.response["violations"]
                      if rule["impact"] in GRAVE or rule["id"] in ALSO for node in rule["nodes"]]
    context.close()
    assert found == []
    assert len(set(titles)) == len(PAGES) and all("Thaw" in title for title in titles), titles


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
    site.open(page, "train")
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
