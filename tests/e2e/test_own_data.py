"""A person's own data in a real browser: on the pages of a dataset, and an archive of pictures up to a comparison."""

from __future__ import annotations

import ast
import csv
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import sklearn
from PIL import Image
from playwright.sync_api import expect
from sklearn.datasets import load_digits

from tests.e2e.conftest import away, end
from tests.e2e.test_browser import SLOW, honest, settled

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

TOPICS = ("cluster", "decomposition", "linear_model")
LEAKED = 4
TRAINED = 600_000
"""Milliseconds that two short runs may take, the fetching of their base model included."""


def sentences(topic: str, n: int) -> list[str]:
    """Real prose: paragraphs of the documentation that scikit-learn carries for one of its parts."""
    found: dict[str, None] = {}
    for file in sorted((Path(sklearn.__file__).parent / topic).glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)):
                for paragraph in (ast.get_docstring(node) or "").split("\n\n"):
                    text = " ".join(paragraph.split())
                    if 60 < len(text) < 300 and text.endswith(".") and not re.search(r":|>>>|---", text):
                        found[text] = None
    assert len(found) >= n, f"scikit-learn's {topic} has only {len(found)} such paragraphs"
    return list(found)[:n]


def leaky_csv() -> bytes:
    """Three topics with their own split column; four training rows stand among the test rows again."""
    rows = [(text, topic, "test" if i % 4 == 3 else "train") for topic in TOPICS for i,
            text in enumerate(sentences(topic, 60))]
    rows += [(text, topic, "test") for text, topic, split in rows if split == "train"][:LEAKED]
    out = io.StringIO()
    csv.writer(out).writerows([("paragraph", "topic", "split"), *rows])
    return out.getvalue().encode()


def digits_zip() -> bytes:
    """Handwritten 0, 1 and 4 as a person packs them: a wrapping folder, mixed formats and letter cases, and a Mac's
    clutter."""
    digits, out = load_digits(), io.BytesIO()
    with zipfile.ZipFile(out, "w") as bundle:
        for digit in (0, 1, 4):
            for i, pixels in enumerate(digits.images[digits.target == digit][:40]):
                picture = Image.fromarray((pixels * 255
                                           / 16).astype(np.uint8)).resize((32, 32), Image.Resampling.NEAREST)
                data = io.BytesIO()
                picture.save(data, "JPEG" if i % 2 else "PNG")
                name = f"{digit}/{i}.{'JPG' if i % 2 else 'png'}"
                bundle.writestr(f"my digits/{name}", data.getvalue())
                bundle.writestr(f"__MACOSX/my digits/{digit}/._{i}.png", b"resource fork")
        bundle.writestr("my digits/.DS_Store", b"clutter")
    return out.getvalue()


def bring(page, server, path):
    """Upload a file on the Data page, look at it, import it, and wait for the report."""
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Data", exact=True).click()
    expect(page.get_by_role("heading", level=1, name="Data")).to_be_visible(timeout=SLOW)
    page.locator("input[type=file]").set_input_files(str(path))
    expect(page.get_by_role("region", name=f"First rows of {path.name}")).to_be_visible(timeout=SLOW)
    honest(page)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="Import report")).to_be_visible(timeout=SLOW)


def train_and_compare(page, server, *, without: tuple[str, ...]):
    """From a dataset's page: fetch the base model, untick methods until two are left, start them at quick effort, wait,
    compare."""
    page.get_by_test_id("stMain").get_by_role("link", name="Train on it").click()
    expect(page.get_by_role("heading", level=1, name="Train")).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("heading", name="Freeze grid")).to_be_visible(timeout=TRAINED)
    settled(page)
    page.get_by_role("radio", name="Quick").or_(page.get_by_role("button", name="Quick")).first.click()
    for label in without:
        box = page.get_by_test_id("stCheckbox").filter(has_text=re.compile(f"^{label}"))
        box.locator("label").click()
        expect(box.get_by_role("checkbox")).not_to_be_checked()
        settled(page)
    start = page.get_by_role("button", name="Start 2 runs")
    expect(start).to_be_visible(timeout=SLOW)
    honest(page)
    start.click()
    expect(page).to_have_url(re.compile(r"/experiment\?.*experiment="), timeout=SLOW)
    expect(page.get_by_text("of 2 done")).to_be_visible(timeout=SLOW)
    away(page, server)
    expect(page.get_by_text("2 of 2 done")).to_be_visible(timeout=SLOW)
    honest(page)
    expect(page.get_by_role("heading", name="Results")).to_be_visible(timeout=SLOW)
    for words in ("How good", "Is one really better?", "Which errors"):
        expect(page.get_by_role("heading", name=words)).to_be_visible(timeout=SLOW)
    honest(page)


def test_the_navigation_leads_from_an_open_thing_to_all_of_them(serve, page, tmp_path):
    """Also after a reload, and when a restarted server is asked for the open thing first. Back opens it again."""
    table = tmp_path / "mine.csv"
    table.write_bytes(leaky_csv())
    server = serve()
    page.goto(server.url("data"))
    bring(page, server, table)
    nav, main = page.get_by_test_id("stSidebarNav"), page.get_by_test_id("stMain")

    def all_datasets():
        nav.get_by_role("link", name="Data", exact=True).click()
        expect(page.get_by_role("heading", name="Bring your own data")).to_be_visible(timeout=SLOW)
        expect(page.get_by_role("heading", name="Import report")).to_have_count(0, timeout=SLOW)
        expect(page).to_have_url(re.compile(r"/data\?ws=[\w-]+$"), timeout=SLOW)

    all_datasets()
    page.reload()
    main.get_by_role("link", name="Look at it").click(timeout=SLOW)
    expect(page.get_by_role("heading", name="Rows by class and split")).to_be_visible(timeout=SLOW)
    expect(page).to_have_url(re.compile(r"/dataset\?ws=[\w-]+&dataset=\w+$"), timeout=SLOW)
    expect(nav.get_by_role("link", name="Dataset", exact=True)).to_have_attribute("aria-current", "page", timeout=SLOW)
    address = page.url.split("/")[-1]
    page.reload()
    expect(page.get_by_role("heading", name="Rows by class and split")).to_be_visible(timeout=SLOW)
    all_datasets()
    expect(nav.get_by_role("link", name="Dataset", exact=True)).to_have_count(0, timeout=SLOW)
    page.go_back()
    expect(page.get_by_role("heading", name="Rows by class and split")).to_be_visible(timeout=SLOW)
    all_datasets()
    end(server)
    page.goto(serve(port=server.port).url(address))
    expect(page.get_by_role("heading", name="Rows by class and split")).to_be_visible(timeout=SLOW)
    honest(page)
    all_datasets()


def test_an_archive_of_pictures_is_looked_at_and_compared(serve, page, tmp_path):
    archive = tmp_path / "digits.zip"
    archive.write_bytes(digits_zip())
    server = serve()
    page.goto(server.url("data"))
    bring(page, server, archive)
    text = honest(page)
    assert "120 rows read, 120 kept, 0 left out" in text and "3 classes" in text
    assert "121 files are such as a system or a program keeps for itself" in text  # what macOS puts into a ZIP
    page.get_by_role("button", name="Open the dataset").click()
    expect(page.get_by_role("region", name=re.compile(r"\d+ rows of digits"))).to_be_visible(timeout=SLOW)
    honest(page)
    train_and_compare(page, server, without=("LoRA", "Full fine-tuning"))
