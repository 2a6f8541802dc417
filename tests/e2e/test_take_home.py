"""A finished run is taken home: four exports are written by jobs, their certificates read on the page, one fetched."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.settings import Settings
from tests import tiny
from tests.conftest import write_dataset
from tests.e2e.conftest import Server
from tests.e2e.test_browser import SLOW, honest, open_run, settled
from tests.e2e.test_try_it import finished

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]
FORMS = ("adapter", "folder", "onnx", "script")
WRITTEN = 300_000
"""Milliseconds until four jobs have each loaded torch, and so have the processes that read back what they wrote."""


def test_four_exports_are_written_read_and_fetched(serve: Callable[..., Server], page: Page, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / "models"
    for name, value in {"MODEL_FOLDERS": str(models), "HUB": "0", "SLOTS": str(min(2, os.cpu_count() or 1))}.items():
        monkeypatch.setenv(f"THAW_{name}", value)
    settings = Settings(home=tmp_path / "home", hub=False, model_folders=(models,))
    run = finished(settings, write_dataset(settings, n_rows=90), tiny.bert(models / "bert"), max_length=32)
    server = serve()
    page.set_default_timeout(SLOW)
    open_run(page, server, run)
    for form in FORMS:
        page.get_by_role("button", name=f"Export as {form}", exact=True).click()
        expect(page.get_by_role("button", name=f"Export as {form}", exact=True)).to_have_count(0, timeout=SLOW)
    expect(page.get_by_text("certificate passed")).to_have_count(len(FORMS), timeout=WRITTEN)
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    settled(page)
    said = honest(page)
    assert said.count("Certificate: passed") == len(FORMS) and "certificate failed" not in said
    assert said.count("on all 18 test rows: 0 get another answer than what the run recorded") == len(FORMS)
    assert said.count("Not offered") == 1 and "Not offered: GGUF holds language models." in said
    assert said.count("Export as") == 2  # merged and card were not asked for
    for form in FORMS:
        page.get_by_text(f"Certificate of {form} in numbers").click()
    expect(page.get_by_text("Largest difference in 32 bits")).to_have_count(len(FORMS))
    expect(page.get_by_text("the run's interval", exact=True)).to_be_visible()

    [link] = [link for link in page.get_by_role("link", name="ZIP (").all() if "/folder.zip" in str(
        link.get_attribute("href"))]
    with page.expect_download() as fetched:
        link.click()
    name = fetched.value.suggested_filename.removesuffix(".zip")
    with zipfile.ZipFile(io.BytesIO(Path(fetched.value.path()).read_bytes())) as archive:
        kept = json.loads(archive.read(f"{name}/certificate.json"))
        assert {f"{name}/model.safetensors", f"{name}/requirements.txt"} <= set(archive.namelist())
    assert kept["format"] == "folder" and kept["passed"] and kept["rows"] == 18
    page.reload()
    expect(page.get_by_text("certificate passed")).to_have_count(len(FORMS))
