"""Every format of every task and method that is offered is used in a process without Thaw, and says what the run
recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.export import FORMATS, certificate, exporting, words
from core.export.finished import Finished
from tests import turns
from tests.conftest import Notes

Trained = Callable[..., Finished]
CHECKED = tuple(name for name, form in FORMATS.items() if form.tolerance is not None and name not in ("script", "gguf"))

DOCUMENTS = tuple(name for name, form in FORMATS.items() if form.tolerance is None)
FEW = [("language", "llama", "lora", "fp32"), ("text", "bert", "full", "fp32"), ("text", "bert", "qlora", "bf16"),
       ("picture", "vit", "lora", "bf16"), ("picture", "efficientnet", "full", "fp32"),
       ("text", "bert", "dora", "fp32"), ("language", "llama", "qlora", "bf16"), ("language", "gpt2", "full", "fp32"),
       ("picture", "dinov2", "qlora", "fp32"), ("language", "llama", "probe", "fp32")]
"""Tried where THAW_WHOLE is set, and one in two always."""
OTHERS = [("text", "bert", "probe", "fp32"), ("text", "bert", "partial", "fp32"), ("text", "bert", "scratch", "fp32"),
          ("text", "bert", "lp_ft", "fp32"), ("text", "distilbert", "lora", "bf16"),
          ("picture", "vit", "partial", "fp32"), ("picture", "swin", "dora", "fp32"),
          ("picture", "resnet", "scratch", "fp32"), ("picture", "vit", "lp_ft", "fp32"),
          ("language", "llama", "dora", "bf16"), ("language", "llama", "partial", "fp32"),
          ("language", "gpt2", "scratch", "fp32"), ("language", "llama", "kl_to_base", "fp32"),
          ("text", "bert", "gradual_unfreezing", "fp32"), ("text", "bert", "osf", "fp32"),
          ("text", "bert", "osf", "bf16"), ("language", "llama", "osf", "fp32"), ("language", "llama", "osf", "bf16")]
"""Tried where THAW_WHOLE is set, and one in five always."""
CASES = [("text", "bert", "lora", "fp32"), ("picture", "vit", "probe", "fp32"),
         *[pytest.param(*case, marks=pytest.mark.slow)
           for case in (*turns.part(FEW, every=2), *turns.part(OTHERS, every=5))]]


def paths_of_this_machine(folder: Path, run: Finished) -> list[str]:
    """Files that say where on this machine something lies."""
    said = [str(run.settings.home), str(Path.home()), str(Path(__file__).parents[3])]
    return [path.name for path in folder.rglob("*") if path.is_file()
            and any(place.encode() in path.read_bytes() for place in said)]


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(("kind", "model", "method", "precision"), CASES)
def test_what_is_exported_says_what_the_run_recorded(kind: str, model: str, method: str, precision: str,
                                                     trained: Trained, tmp_path: Path) -> None:
    run = trained(kind, model, method, precision)
    written = []
    for name in CHECKED:
        assert FORMATS[name].applies_to(run.recipe, run.facts) is None
        folder = tmp_path / name
        folder.mkdir()
        FORMATS[name].write(run, folder)
        written.append((FORMATS[name], folder))
        assert not paths_of_this_machine(folder, run)
        pinned = dict(line.split("==") for line in (folder / "requirements.txt").read_text().splitlines())
        assert {"transformers", "onnxruntime" if name == "onnx" else "torch"} <= set(pinned)
        assert ("peft" in pinned) == (folder / "adapter").is_dir() and "+" not in pinned.get("torch", "")
    for found in certificate.of_all(written, run):
        assert found["passed"], (found["format"], found["reasons"])
        assert found["rows"] == (18 if kind == "text" else 6 if kind == "picture" else 8)
        assert found["in_32_bits"]["largest_difference"] <= found["in_32_bits"]["tolerance"]
        assert found["in_32_bits"]["flipped"] == 0 and found["bytes"] > 1000
        if precision == "fp32":
            assert found["largest_difference"] == found["in_32_bits"]["largest_difference"] and not found["flipped"]
        assert found["metric"]["run"]["low"] <= found["metric"]["run"]["value"] <= found["metric"]["run"]["high"]
        assert {"python", "transformers"} <= set(found["versions"])
        assert ("torch" in found["versions"]) or found["format"] == "onnx"


@pytest.mark.timeout(300)
def test_an_export_is_whole_and_holds_its_certificate(trained: Trained, tmp_path: Path) -> None:
    run = trained("text", "bert", "lora")
    observer = Notes()
    report = exporting.export(run.folder, tmp_path / "out", form="folder", settings=run.settings,
                              workspace=run.workspace, observer=observer)
    assert report["certificate"]["passed"] and "certificate.json" in report["files"]
    kept = json.loads((tmp_path / "out" / "certificate.json").read_text(encoding="utf-8"))
    assert kept == report["certificate"]
    assert {"format", "passed", "rows", "flipped", "largest_difference", "metric", "seconds", "bytes",
            "versions"} <= set(kept)
    said = words.said(kept)
    assert said[0].startswith("Certificate: passed") and "all 18 test rows: 0 get" in said[1]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.timeout(300)
def test_stopped_it_leaves_only_what_it_can_go_on_from(trained: Trained, tmp_path: Path) -> None:
    run = trained("text", "bert", "lora")
    with pytest.raises(certificate.Stopped):
        exporting.export(run.folder, tmp_path / "out", form="merged", settings=run.settings, workspace=run.workspace,
                         observer=Notes(stop_at=0))
    assert [path.name for path in tmp_path.iterdir()] == [".out.unfinished"]


def test_without_its_rows_nothing_is_claimed(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained("text", "bert", "lora")
    monkeypatch.setattr("core.export.rows.of_run", lambda run: None)
    (tmp_path / "file").write_text("x")
    found: Any = certificate.write(FORMATS["merged"], tmp_path, run)
    assert found["passed"] is None and "no longer on this machine" in found["reasons"][0]
    assert words.said(found) == [f"Not checked. {found['reasons'][0]}"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_quotes_no_row(name: str, trained: Trained, tmp_path: Path) -> None:
    run = trained("text", "bert", "lora")
    report = exporting.export(run.folder, tmp_path / "out", form=name, settings=run.settings, workspace=run.workspace)
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert report["certificate"] is None and run.rows is not None and run.result is not None
    assert not any(row in card for row in run.rows.content) and str(run.settings.home) not in card
    accuracy = run.result.metrics["test"]["accuracy"]
    assert f"| test | accuracy | {accuracy.value:.4g} ({accuracy.low:.4g} to {accuracy.high:.4g}) |" in card
    assert "54 train, 18 validation, 18 test rows" in card and "`money`, `sport`, `tech`" in card
