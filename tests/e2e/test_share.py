"""What is handed on opens elsewhere: a report from disk with the network off, an archive in another workspace."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core import files, recorded
from core.api import RECORDED, Thaw
from core.recorded import unpack
from core.settings import Settings
from tests.conftest import WORKSPACE, write_dataset
from tests.ui.conftest import put_facts, put_runs

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SLOW = 60_000

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script><a href='javascript:alert(3)'>x</a>"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of the recorded example, whose classes have hostile names."""
    place = tmp_path_factory.mktemp("report")
    unpack.unpack(recorded.ARCHIVE, place / "home")
    thaw, card = Thaw(Settings(home=place / "home", hub=False)), recorded.card()
    assert card is not None
    ids = [card.runs[0], card.runs[4]]
    for id in ids:
        path = Path(thaw.runs.get(RECORDED, id).folder) / "artifact" / "labels.json"
        labels = files.read_json(path)
        files.write_json(path, labels | {"classes": [HOSTILE, *labels["classes"][1:]]})
    folder = thaw.settings.workspace(RECORDED) / "datasets" / thaw.data.all(RECORDED)[0].id
    dataset = files.read_json(folder / "dataset.json")
    files.write_json(folder / "dataset.json", dataset | {"classes": [HOSTILE, *dataset["classes"][1:]]})
    (place / "report.html").write_bytes(Thaw(thaw.settings).share.report(RECORDED, ids))
    return place / "report.html"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_report_opens_from_disk_with_the_network_off(browser: Browser, written: Path, width: int,
                                                       scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, color_scheme=scheme)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: None if request.url.startswith(("file:", "data:", "blob:"))
            else wrong.append(request.url))
    page.goto(written.as_uri())
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    chart = page.locator("[data-figure]").first
    chart.scroll_into_view_if_needed()
    expect(chart.locator(".main-svg").first).to_be_visible()
    ink = chart.locator(".xtick text").first.evaluate("tick => getComputedStyle(tick).fill")
    assert ink == ("rgb(27, 39, 51)" if scheme == "light" else "rgb(230, 237, 243)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    drawn = page.locator("figure.map").first
    drawn.scroll_into_view_if_needed()
    expect(drawn.locator("[data-ready]")).to_be_attached(timeout=SLOW)
    plot = drawn.locator(".nsewdrag").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.05)]
    for at, (a, b) in enumerate(corners):
        page.mouse.move(box["x"] + a * box["width"], box["y"] + b * box["height"], steps=6)
        if at == 0:
            page.mouse.down()
    page.mouse.up()
    expect(drawn.locator("[data-count]")).to_contain_text("of 625 rows selected, the first 100 listed")
    expect(drawn.locator("[data-list] li")).to_have_count(100)
    drawn.get_by_role("searchbox").fill("tech")
    expect(drawn.locator("[data-list] li").first).to_contain_text("tech")
    assert not wrong
    context.close()

def test_an_archive_is_imported_into_another_workspace_and_compared_with_a_run_there(serve, page: Page,
                                                                                   tmp_path: Path) -> None:
    theirs, mine = (Settings(home=tmp_path / name, hub=False) for name in ("theirs", "home"))
    for settings in (theirs, mine):
        ended = put_runs(settings, write_dataset(settings, n_rows=90))
        put_facts(settings)
    thaw = Thaw(theirs)
    ids = [run.id for run in thaw.runs.all(WORKSPACE)][::-1]
    thaw.share.archive(WORKSPACE, ids, tmp_path / "theirs.zip")
    server = serve()
    page.goto(server.url(f"runs?ws={WORKSPACE}"))
    page.get_by_text("Import an archive").click(timeout=SLOW)
    page.locator("input[type=file]").set_input_files(str(tmp_path / "theirs.zip"))
    expect(page.get_by_role("heading", level=1, name="Tiny, MiniLM (imported)")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("Imported: trained elsewhere")).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("button", name="Rename")).to_have_count(0)
    came = next(run for run in Thaw(mine).runs.all(WORKSPACE) if run.imported and run.recipe.method == "lora")

    page.goto(server.url(f"compare?ws={WORKSPACE}&runs={ended.done[1]},{came.id}"))
    expect(page.get_by_role("heading", name="Is one really better?")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("(imported)").first).to_be_visible(timeout=SLOW)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_test_id("stAlert")).to_have_count(0)  # both were tested on the same rows
    page.get_by_role("button", name="Share").first.click(timeout=SLOW)
    with page.expect_download(timeout=SLOW) as download:
        page.get_by_role("button", name="One HTML file").click(timeout=SLOW)
    data = Path(download.value.path()).read_text(encoding="utf-8")
    assert data.startswith("<!doctype html>") and "(imported)" in data and download.value.suggested_filename.endswith(
        ".html")
