"""The app as a person meets it, in a real browser."""

import re
import time

import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import expect

from core.api import Thaw
from core.settings import Settings
from pages._ui.sitemap import HOME, PAGES
from tests.conftest import WORKSPACE, write_dataset
from tests.ui.conftest import heading, put_facts, put_runs

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

TITLES = {"" if name == HOME else name: heading(name) for name, entry in PAGES.items() if not entry.shows}
"""Address -> first heading."""
SLOW = 60_000


def settled(page):
    """Wait until the script has run to its end. The page says so itself, from the press on; the sign in its corner
    appears too late to be waited for."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=SLOW)
    return page


def pick(box, name):
    """Choose this option in the list of a box. A list closes by itself when the page scrolls, as it does to show the
    box, or is drawn anew: it is opened until the option has been clicked."""
    option = box.page.get_by_role("option", name=name, exact=isinstance(name, str)).first
    deadline = time.monotonic() + SLOW / 1000
    while True:
        settled(box.page)
        try:
            if not option.is_visible():
                box.click(timeout=SLOW)
            option.click(timeout=3_000)
            break
        except PlaywrightTimeout:
            assert time.monotonic() < deadline, f"no option {name} in the list of {box}"
    settled(box.page)


def choose(box, *labels):
    """Choose these in a box that takes several. A long list holds only what is near its beginning, so names are typed;
    a list that is drawn anew meanwhile is asked again."""
    chosen = box.page.get_by_test_id("stMultiSelect").filter(has=box)
    for label in labels:
        there, deadline = chosen.get_by_text(label, exact=True).first, time.monotonic() + SLOW / 1000
        while not there.is_visible():
            assert time.monotonic() < deadline, f"{label} cannot be chosen in {box}"
            settled(box.page)
            try:
                box.fill(label, timeout=3_000)
                box.page.get_by_role("option", name=label, exact=True).first.click(timeout=3_000)
                there.wait_for(timeout=3_000)
            except PlaywrightTimeout:
                continue
        settled(box.page)
    box.press("Escape")  # the open list hides what is below it
    settled(box.page)


def honest(page):
    """No traceback and no bare exception on screen."""
    text = page.get_by_test_id("stMain").inner_text()
    assert "Traceback" not in text
    assert page.get_by_test_id("stException").count() == 0
    return text


@pytest.mark.parametrize("path", list(TITLES))
def test_each_address_can_be_the_first_one_a_fresh_server_is_asked_for(serve, page, path):
    server = serve()
    page.goto(server.url(path))
    expect(page.get_by_role("heading", level=1, name=TITLES[path])).to_be_visible(timeout=SLOW)
    settled(page)
    honest(page)
    assert re.search(r"[?&]ws=[\w-]{16,}",
                     page.url), "the page went through the entrypoint, which puts the workspace into the address"
    expect(page.get_by_test_id("stSidebarNav")).to_be_visible()
    assert page.get_by_role("dialog").count() == 0


def test_the_workspace_stays_in_the_address_through_navigation_and_f5(serve, page):
    server = serve()
    page.goto(server.url())
    expect(page).to_have_url(re.compile("ws="), timeout=SLOW)
    ws = re.search(r"ws=([\w-]+)", page.url)[1]
    for title in list(TITLES.values())[1:]:
        page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).click()
        expect(page.get_by_role("heading", level=1, name=title)).to_be_visible(timeout=SLOW)
        expect(page).to_have_url(re.compile(ws))
    page.reload()
    expect(page.get_by_role("heading", level=1, name=title)).to_be_visible(timeout=SLOW)
    expect(page).to_have_url(re.compile(ws))


def test_nothing_is_wider_than_a_phone(serve, browser):
    server = serve()
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    for path, title in TITLES.items():
        page.goto(server.url(path))
        expect(page.get_by_role("heading", level=1, name=title)).to_be_visible(timeout=SLOW)
        settled(page)
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390, path
    context.close()


def test_a_table_of_ones_own_becomes_a_dataset(serve, page, tmp_path):
    table = tmp_path / "my <b>reviews.csv"
    rows = [f'"{word} number {i}, {word} indeed and quite long enough",{label}' for i in range(60)
            for word, label in (("lovely", "good"), ("dreadful", "bad"))]
    table.write_text("review,verdict\n" + "\n".join(rows) + "\n", encoding="utf-8")
    server = serve()
    page.goto(server.url("data"))
    expect(page.get_by_role("heading", level=1, name="Data")).to_be_visible(timeout=SLOW)
    page.locator("input[type=file]").set_input_files(str(table))
    expect(page.get_by_role("button", name="Import")).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("120 rows read")).to_be_visible(timeout=SLOW)  # a worker imports it; the page follows
    assert "2 classes" in honest(page)
    page.get_by_role("button", name="Open the dataset").click()
    expect(page.get_by_role("heading", name="Rows by class and split")).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_contain_text("gone for good", timeout=SLOW)
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No dataset yet")).to_be_visible(timeout=SLOW)


@pytest.fixture
def past(tmp_path):
    """A data folder in which three runs have ended."""
    settings = Settings(home=tmp_path / "home", hub=False)
    put_facts(settings)
    return settings, put_runs(settings, write_dataset(settings, n_rows=90))


def open_run(page, server, run):
    page.goto(server.url(f"run?ws={WORKSPACE}&run={run}"))
    expect(page.get_by_role("button", name="Fork")).to_be_visible(timeout=SLOW)
    return settled(page)


def press(page, name):
    page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()


def test_a_fork_starts_a_new_run_with_what_was_changed(past, serve, page):
    settings, ended = past
    open_run(page, serve(), ended.done[1]).get_by_role("button", name="Fork").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Freeze plan", exact=True).fill("block 99")
    dialog.get_by_label("Freeze plan", exact=True).press("Enter")
    press(page, "Start the fork")
    expect(dialog.get_by_role("alert")).to_contain_text("block 5", timeout=SLOW)
    dialog.get_by_label("Freeze plan", exact=True).fill("0-1")
    dialog.get_by_label("LoRA rank", exact=True).fill("4")
    dialog.get_by_label("LoRA rank", exact=True).press("Enter")
    press(page, "Start the fork")
    expect(page.get_by_role("heading", level=1, name="Tiny, MiniLM")).to_be_visible(timeout=SLOW)
    api = Thaw(settings)
    new = next(r for r in api.runs.all(WORKSPACE) if r.parent == ended.done[1])
    assert new.recipe.lora.rank == 4
    assert new.recipe.freeze.frozen == ("block 0", "block 1")
    assert api.runs.get(WORKSPACE, ended.done[1]).recipe.lora.rank == 8
