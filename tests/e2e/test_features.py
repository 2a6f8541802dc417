"""The Features page in a real browser, on runs that a real worker trained: what was frozen reads exactly 1 and 0, and
nothing else does."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from core import files
from core.api import Thaw
from core.domain import codec
from core.domain.device import Device
from core.domain.freeze import FreezePlan
from core.domain.recipe import Recipe
from core.settings import Settings
from tests import tiny
from tests.conftest import WORKSPACE, write_dataset
from tests.e2e.conftest import Server, end, start
from tests.e2e.test_browser import SLOW, honest, pick, settled

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

BLOCKS = ["embeddings", "block 0", "block 1", "block 2", "block 3"]
FROZEN = BLOCKS[:3]
"""What the partly frozen run keeps."""


@dataclass
class Lab:
    """A server, and a probe and a partly frozen run on one tiny model."""

    server: Server
    probe: str
    partial: str

    def open(self, page: Page, **params: str) -> Page:
        """The Features page, once its map is there."""
        query = "&".join(f"{name}={value}" for name, value in {"ws": WORKSPACE, **params}.items())
        page.goto(self.server.url(f"features?{query}"))
        expect(page.locator(".st-key-features_map canvas.points")).to_be_visible(timeout=120_000)
        return settled(page)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Both runs queued; the server's supervisor trains them, and each makes its features at its end."""
    import torch

    settings = Settings(home=tmp_path_factory.mktemp("features") / "home", hub=False)
    model = tiny.bert(settings.home / "models" / "tiny-bert")  # where models may be named by path
    dataset = write_dataset(settings, n_rows=240)
    device = Device(kind="cpu", name="test", memory_bytes=8_000_000_000, cores=1, fp32_gflops=50.0, bf16_gflops=50.0,
                    precision="fp32", versions={"torch": torch.__version__}, measured=0.0)
    files.write_json(settings.home / "device.json", codec.to_json(device))
    recipe = Recipe(dataset=dataset.id, base_model=str(model), method="probe", max_length=32, precision="fp32",
                    batch_size=16)
    partial = recipe.replace(method="partial", freeze=FreezePlan(frozen=tuple(FROZEN)), epochs=3.0, learning_rate=2e-3,
                             track_features=40)
    runs = Thaw(settings).experiments.submit(WORKSPACE, [recipe, partial], name="tiny")
    server = start(settings.home)
    yield Lab(server, *runs)
    end(server)


def layer(page: Page, name: str, last: str) -> None:
    """Open one of the page's two layers, until its last part is there."""
    page.get_by_role("tab", name=name).click()
    expect(page.get_by_text(last)).to_be_visible(timeout=SLOW)
    settled(page)


def measure(page: Page) -> None:
    layer(page, "Measure it", "Look closer")


def lines(page: Page) -> dict[str, list[float]]:
    """The values a block of the chart *Where did it change?*, by the name of the line."""
    page.wait_for_function("() => document.querySelector('.st-key-features_where .js-plotly-plot')?._fullData")
    return page.evaluate("""() => Object.fromEntries(
        document.querySelector('.st-key-features_where .js-plotly-plot')._fullData
            .filter(t => t.name && t.mode === 'lines+markers').map(t => [t.name, Array.from(t.y)]))""")


def selected(page: Page) -> int:
    return int(page.locator(".st-key-features_map .map").get_attribute("data-selected") or 0)


def lasso(page: Page) -> None:
    """A circle round the middle of the left pane."""
    box = page.locator(".st-key-features_map canvas.over").bounding_box()
    assert box is not None
    x, y, radius = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2, box["width"] / 8
    page.mouse.move(x + radius, y)
    page.mouse.down()
    for step in range(1, 25):
        page.mouse.move(x + radius * math.cos(step * math.pi / 12), y + radius * math.sin(step * math.pi / 12))
    page.mouse.up()


def test_a_probe_leaves_every_block_exactly_as_it_was_and_features_come_by_themselves(lab, page):
    lab.open(page, run=lab.probe)
    assert "are identical: every feature of all 5 blocks is equal to the last bit" in honest(page)
    measure(page)
    text = honest(page)
    assert f"Frozen and exactly unchanged: {', '.join(BLOCKS)}" in text
    found = lines(page)
    assert found["CKA"] == found["neighbours kept"] == [1, 1, 1, 1, 1]
    assert found["typical move, target rows"] == [0, 0, 0, 0, 0]


def test_a_partly_frozen_run_is_unchanged_up_to_its_first_trained_block_and_not_after(lab, page):
    lab.open(page, run=lab.partial)
    honest(page)
    measure(page)
    honest(page)
    found = lines(page)
    assert found["CKA"][:3] == found["neighbours kept"][:3] == [1, 1, 1]
    assert found["typical move, target rows"][:3] == [0, 0, 0]
    assert all(value < 1 for value in found["CKA"][3:])
    assert all(value > 0 for value in found["typical move, target rows"][3:])
    layer(page, "See it", "Search rows")
    page.get_by_text("arrows", exact=True).click()
    expect(page.get_by_text(re.compile("These arrows show"))).to_be_visible(timeout=SLOW)
    drawn = page.locator(".st-key-features_map .map")
    expect(drawn).to_have_attribute("data-arrows", re.compile(r"[1-9]\d+"), timeout=SLOW)
    measure(page)
    for shown in ("player", "small multiples"):
        page.get_by_text(shown, exact=True).click()
        settled(page)
    honest(page)


def test_base_against_base_is_identical_and_draws_no_arrow(lab, page):
    lab.open(page, a=f"{lab.partial}:base", b=f"{lab.partial}:base")
    assert "Base model and base model are identical" in honest(page)
    page.get_by_text("arrows", exact=True).click()
    expect(page.get_by_text("No arrows: nothing moved")).to_be_visible(timeout=SLOW)
    drawn = page.locator(".st-key-features_map .map")
    expect(drawn).to_have_attribute("data-mode", "arrows", timeout=SLOW)
    assert drawn.get_attribute("data-arrows") == "0"


def test_the_selection_survives_re_colouring_and_another_view(lab, page):
    lab.open(page, run=lab.partial)
    page.locator(".st-key-features_map").scroll_into_view_if_needed()
    lasso(page)
    note = page.get_by_text(re.compile(r"\d+ of 96 rows selected"))
    expect(note).to_be_visible(timeout=SLOW)
    words, count = note.inner_text(), selected(page)
    assert count > 0 and f"{count} of 96" in words
    pick(page.locator(".st-key-features_colour input"), "neighbours kept")
    expect(page.locator(".st-key-features_map .ramp")).to_be_visible(timeout=SLOW)
    assert settled(page).get_by_text(words).count() == 1 and selected(page) == count
    page.get_by_text("where it moved", exact=True).click()
    expect(page.get_by_text("The two directions that hold most of the movement")).to_be_visible(timeout=SLOW)
    assert settled(page).get_by_text(words).count() == 1 and selected(page) == count
    page.get_by_role("button", name="Clear the selection").click()
    expect(note).to_have_count(0, timeout=SLOW)
    assert settled(page) and selected(page) == 0
    honest(page)


def test_nothing_is_wider_than_a_phone(lab, browser):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    lab.open(page, run=lab.partial)
    wide = page.evaluate("() => { const m = document.querySelector('[data-testid=stMain]'); return [m.scrollWidth, "
                         "m.clientWidth]; }")
    context.close()
    assert wide[0] <= wide[1]
