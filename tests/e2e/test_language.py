"""Language models in a real browser: the home page's demo, from an empty data folder to its verdict; conversations with
faults in them, the mask, two methods trained on them, compared, and what is inside."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from playwright.sync_api import Page, expect

from core import values
from core.api import Thaw
from core.domain.run import Result
from core.settings import Settings
from tests import chat_templates, turns
from tests.e2e.conftest import Server, away
from tests.e2e.test_browser import pick
from tests.e2e.test_own_data import SLOW, TRAINED, bring, honest, settled

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(2400)]
JUDGED = 2_000_000
"""Milliseconds that a quick run of SmolLM2 may take on a busy machine, the fetching included."""


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_templates.talker(tmp_path_factory.mktemp("models") / "talker", "smollm2", length=512)


def conversations() -> bytes:
    """Sixty that are whole; one without an answer, one of an odd role, one that is no JSON."""
    rows = [{"messages": [{"role": "user", "content": f"What is {i} plus one, and why do you say so?"},
                          {"role": "assistant", "content": f"It is {i + 1}, as one more than {i} is {i + 1}."}]}
            for i in range(60)]
    faults = [{"messages": [{"role": "user", "content": "Is anybody there?"}]},
              {"messages": [{"role": "wizard", "content": "Abracadabra"}, {"role": "assistant", "content": "No."}]}]
    return "".join(json.dumps(row) + "\n" for row in [*rows, *faults]).encode() + b"{broken\n"


def test_conversations_with_faults_are_looked_at_trained_on_two_ways_compared_and_looked_into(
        serve: Callable[..., Server], page: Page, tmp_path: Path, talker: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_MODEL_FOLDERS", str(talker.parent))
    file = tmp_path / "talk.jsonl"
    file.write_bytes(conversations())
    server = serve()
    page.set_default_timeout(SLOW)
    page.goto(server.url("data"))
    bring(page, server, file)
    text = honest(page)
    assert "63 rows read, 60 kept, 3 left out" in text, text[:2000]
    page.get_by_role("button", name="Open the dataset").click()
    expect(page.get_by_role("heading", name="Which tokens teach")).to_be_visible(timeout=SLOW)
    assert "conversations for language models" in honest(page)

    page.get_by_test_id("stMain").get_by_role("link", name="Train on it").click()
    expect(page.get_by_role("heading", level=1, name="Train")).to_be_visible(timeout=SLOW)
    settled(page)
    pick(page.get_by_role("combobox", name="Base model"), re.compile("^Another"))
    page.get_by_role("textbox", name="Hub id or folder").fill(str(talker))
    page.get_by_role("textbox", name="Hub id or folder").press("Enter")
    page.get_by_role("button", name="Fetch and inspect").click()
    expect(page.get_by_role("heading", name="Freeze grid")).to_be_visible(timeout=TRAINED)
    settled(page)
    page.get_by_role("radio", name="Quick").or_(page.get_by_role("button", name="Quick")).first.click()
    settled(page)
    wanted = {"LoRA", "QLoRA (4-bit)"}
    for label in ("Untouched model", "Partly frozen", "Full fine-tuning", "LoRA", "QLoRA (4-bit)"):
        box = page.get_by_test_id("stCheckbox").filter(has_text=re.compile(f"^{re.escape(label)}"))
        if box.get_by_role("checkbox").is_checked() != (label in wanted):
            box.locator("label").click()
            settled(page)
    page.get_by_text("Which tokens teach").first.click()
    page.get_by_role("button", name="See which tokens teach").click()
    expect(page.get_by_text("Taught tokens")).to_be_visible(timeout=TRAINED)
    expect(page.locator("mark", has_text="It is 1, as one more").first).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Start 2 runs").click()
    expect(page).to_have_url(re.compile(r"/experiment\?.*experiment="), timeout=SLOW)
    expect(page.get_by_text("2 of 2 done")).to_be_visible(timeout=TRAINED)
    two_runs_side_by_side(page)
    experiment = page.url
    one_run(page)
    page.goto(experiment)
    inside(page)


def two_runs_side_by_side(page: Page) -> None:
    """The results of the experiment: how good, what was forgotten, whether one is better, and which costs more."""
    for heading in ("Results", "How good", "What it cost elsewhere", "Is one really better?", "Which rows"):
        expect(page.get_by_role("heading", name=heading)).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(re.compile(r"hese 12 rows.+95 % interval"))).to_be_visible(timeout=SLOW)
    text = honest(settled(page))
    assert "untouched model" in text and re.search(r"learned|forgot", text)
    assert re.search(r"only a factor of 1\.5 in time", text), "what they cost beside each other"
    assert "talk, talker" in text, "the experiment, by the names of dataset and model"


def one_run(page: Page) -> None:
    """The page of one of them: verdict, numbers beside the untouched model's, answers, and what it was taught."""
    page.get_by_test_id("stMain").get_by_role("link", name="QLoRA").first.click()
    for heading in ("Verdict", "Measured", "What else changed", "What it answers"):
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible(timeout=SLOW)
    text = honest(page)
    assert "On its own task better than the untouched model" in text
    for said in ("test loss", "of memory at the peak", "untouched ", "KL on its own rows", "rounding to 4 bits alone",
                 "Struck through"):
        assert said in text, said
    page.get_by_text("Which tokens teach").first.click()
    expect(page.get_by_text("Taught tokens")).to_be_visible(timeout=SLOW)
    expect(page.locator("mark", has_text="one more than").first).to_be_visible(timeout=SLOW)


def inside(page: Page) -> None:
    """Features of both: the map, and what each block of either says."""
    page.get_by_role("link", name="How do their features differ?").click()
    expect(page.get_by_text(re.compile("^A point is a row"))).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("heading", name=re.compile("^(Features changed most in|No block's)"))).to_be_visible()
    assert "18 rows, the same in both panes." in honest(page)
    page.get_by_role("tab", name="Measure it").click()
    page.get_by_text("What each block says").click()
    expect(page.get_by_text("QLoRA (4-bit) beside the base model that it started from")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("on 18 test and validation rows: QLoRA (4-bit) alone, not A against B")).to_be_visible()
    expect(page.get_by_text(re.compile("^At the end the true token stands at place"))).to_be_visible(timeout=SLOW)
    page.get_by_role("radio", name="LoRA", exact=True).click()
    expect(page.get_by_text("rows: LoRA alone, not A against B")).to_be_visible(timeout=SLOW)
    honest(page)


def test_the_language_model_of_the_home_page_learns_says_what_it_forgot_and_is_judged(
        serve: Callable[..., Server], page: Page, record_testsuite_property: Callable[[str, object], None]) -> None:
    server = serve()
    page.goto(server.url())
    page.get_by_role("button", name="Train SmolLM2 on Tales of Grimm").click()
    expect(page.get_by_role("heading", level=1, name="Tales of Grimm, SmolLM2")).to_be_visible(timeout=SLOW)
    began = time.monotonic()
    run = page.get_by_test_id("stMain").locator("a[href*='run?']").first
    expect(run).to_be_attached(timeout=SLOW)
    page.goto(urljoin(page.url, str(run.get_attribute("href"))))
    if not turns.whole():  # the rest of its training shows nothing more of the page, and takes minutes
        until_step(12, page, server)
    expect(page.get_by_role("heading", name="What it answers")).to_be_visible(timeout=JUDGED)  # while it trains
    before = page.get_by_text("Untouched model", exact=True).first
    expect(before).to_be_visible(timeout=SLOW)
    steps = page.get_by_text(re.compile(r"^Step \d+$"))
    if not turns.whole():
        page.get_by_role("button", name="Stop", exact=True).click()
        expect(page.get_by_text("stopping").first).to_be_visible(timeout=SLOW)
        expect(steps.first).to_be_visible(timeout=JUDGED)  # beside the untouched model's, on the page as it stands
    away(page, server)
    expect(page.get_by_role("heading", name="Verdict")).to_be_visible(timeout=JUDGED)
    record_testsuite_property("from the press to the verdict of a language model", f"{time.monotonic() - began:.0f} s")
    expect(page.get_by_text(re.compile("^On its own task better than the untouched model"))).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("Test loss", exact=True)).to_be_visible(timeout=SLOW)
    text = honest(settled(page))
    for said in ("Test loss", "Test perplexity", "Test bits per byte", "KL on its own rows", "untouched 3."):
        assert said in text, said
    assert steps.count() >= (2 if turns.whole() else 1)
    assert page.locator("mark").count() > 0, "no word differs from what the untouched model says"
    if turns.whole():
        the_prototype_is_reached(server.home)


def until_step(step: int, page: Page, server: Server) -> None:
    """Leave a run's page until it has trained so far."""
    address = page.url
    runs, query = Thaw(Settings(home=server.home)).runs, parse_qs(urlsplit(address).query)
    page.goto("about:blank")
    while all(point["step"] < step for point in runs.curves(query["ws"][0], query["run"][0]).steps):
        state = runs.get(query["ws"][0], query["run"][0])
        assert not state.status.final, state
        time.sleep(1)
    page.goto(address)


def the_prototype_is_reached(home: Path) -> None:
    """A prototype of sixty steps of 4 x 256 tokens went from 3.264 to 2.981 nats a token on held-out tales, and from
    3.531 to 3.349 on Andersen's."""
    (file,) = home.glob("workspaces/*/runs/*/result.json")
    result = values.read(file, Result)
    assert result is not None
    before, after = result.base, result.metrics
    assert 3.2 <= before["test"]["loss"].value <= 3.3 and after["test"]["loss"].value <= 3.02
    for metric in ("loss", "perplexity"):
        assert after["test"][metric].high < before["test"][metric].low
    assert after["shift"]["loss"].value < before["shift"]["loss"].value
    assert after["shift"]["perplexity"].value < before["shift"]["perplexity"].value
    card = Thaw(Settings(home=home)).runs.verdict(file.parents[2].name, file.parent.name)
    for subject in ("target", "shift"):  # pair by pair on the same rows
        difference = card.line(subject).difference if card else None
        assert difference is not None and difference.high < 0, subject
