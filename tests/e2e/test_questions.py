"""Every question of the page *Ask* and every lesson, from the press to the chart, on bundled data in a real browser: at
the smallest size that the page offers. All of them where THAW_WHOLE is set, else a part of them.

With `THAW_SHOTS` naming a folder, each answer is photographed: both themes, a desktop and a phone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from core import lessons
from core.api import Thaw
from core.planning import designs
from core.settings import Settings
from tests import turns
from tests.e2e.conftest import Server, away, end, start
from tests.e2e.test_browser import SLOW, choose, honest, pick, settled
from tests.e2e.test_journeys import TRAINED, button, look, title

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(2400)]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is chosen on the page; the rest stays as it is offered."""

    dataset: str = "BBC News"
    methods: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ("32",)
    rates: tuple[str, ...] = ()
    depths: tuple[str, ...] = ()
    seeds: int = 1


CASES = {
    "depth": Asked(depths=("3",)),
    "labels": Asked(methods=("Linear probe", "From scratch"), budgets=("32", "128")),
    "block": Asked(),
    "four-bit": Asked(),
    "rate": Asked(methods=("LoRA",), rates=("0.3", "3")),
    "seeds": Asked(methods=("LoRA",), seeds=2),
    "shift": Asked(dataset="OpenMoji", methods=("Linear probe", "Full fine-tuning"), budgets=("128",)),
    "base": Asked(methods=("Linear probe",)),
}
"""Beside `methods`, which a journey asks."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start(tmp_path_factory.mktemp("questions") / "home")
    yield running
    end(running)


def test_every_design_has_its_case() -> None:
    assert {"methods", *CASES} == set(designs.REGISTRY)


@pytest.mark.parametrize("name", turns.part(list(CASES), every=4))
def test_a_design_is_asked_run_and_drawn(server: Server, page: Page, name: str) -> None:
    design, asked = designs.get(name), CASES[name]
    page.set_default_timeout(SLOW)
    page.goto(server.url("ask"))
    title(page, "Ask")
    page.get_by_role("radiogroup", name="Question").get_by_text(design.question, exact=True).click()
    settled(page)
    pick(page.get_by_role("combobox", name="Dataset"), re.compile(f"^{asked.dataset}"))
    page.get_by_role("spinbutton", name="Seeds").fill(str(asked.seeds))
    page.keyboard.press("Enter")
    settled(page)
    page.get_by_text("Methods, labels, learning rates").click()
    for label, wanted in (("Methods", asked.methods), ("Label budget", asked.budgets),
                          ("Learning rates", asked.rates), ("Depths", asked.depths)):
        if wanted:
            choose(page.get_by_role("combobox", name=re.compile(f"^{label}")), *wanted)
    look(page, f"ask-{name}")
    button(page, re.compile(r"^Start \d+ runs?$")).click(timeout=SLOW)
    title(page, re.compile(f"^{re.escape(design.question)}"))
    away(page, server)
    title(page, re.compile(f"^{re.escape(design.question)}"))
    expect(page.get_by_text(re.compile("^(So far|No answer yet)"))).to_have_count(0, timeout=TRAINED)
    ws = re.search(r"[?&]ws=([\w-]+)", page.url)
    experiment = re.search(r"[?&]experiment=([\w-]+)", page.url)
    assert ws and experiment
    question = Thaw(Settings(home=server.home)).questions.of(ws[1], experiment[1])
    assert question is not None and question.answer is not None and question.done == question.planned
    expect(page.get_by_text(question.answer.sentence).first).to_be_visible(timeout=SLOW)
    drawn = page.locator(f'[class*="st-key-answer_{experiment[1]}_"] .js-plotly-plot')
    expect(drawn).to_have_count(len(question.charts), timeout=SLOW)
    for place in range(len(question.charts)):
        expect(drawn.nth(place)).to_be_visible(timeout=SLOW)
    assert question.charts
    judged = question.card is not None and bool(question.card.beside)
    assert judged or name == "seeds"                                 # one method alone is held against nothing
    expect(page.get_by_role("heading", name="Verdict")).to_have_count(int(judged), timeout=SLOW)
    honest(page)
    look(page, f"answer-{name}")


@pytest.mark.parametrize("name", turns.part([name for name in lessons.REGISTRY if name != "transfer"], every=7))
def test_a_lesson_is_predicted_measured_and_compared(server: Server, page: Page, name: str) -> None:
    """One seed; *transfer against scratch* is what the room takes."""
    lesson = lessons.get(name)
    page.set_default_timeout(SLOW)
    page.goto(server.url(f"lesson?lesson={name}"))
    title(page, lesson.title)
    button(page, "This is my prediction").click()
    expect(page.get_by_role("heading", name="What the paper says")).to_be_visible(timeout=SLOW)
    button(page, re.compile(r"^Start \d+ runs")).click()
    expect(page.get_by_text(re.compile(r"\d of \d+ runs are measured here"))).to_be_visible(timeout=SLOW)
    away(page, server)
    title(page, lesson.title)
    measured = page.get_by_text(re.compile(r"^(\d+) of \1 runs are measured here$"))
    expect(measured).to_be_visible(timeout=TRAINED)
    expect(page.get_by_text(re.compile("^Your prediction is"))).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(re.compile("miniature|cannot tell")).first).to_be_visible(timeout=SLOW)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=SLOW)
    honest(page)
    look(page, f"lesson-{name}")
