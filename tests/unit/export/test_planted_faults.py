"""A fault planted into what an exporter writes makes its certificate fail: one process looks at all of a run's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.domain.side import Side
from core.export import FORMATS, certificate, weights
from core.export.finished import Finished
from core.training import artifact

Trained = Callable[..., Finished]
Plant = Callable[[Path], None]


def change(name: str, how: Callable[[dict[str, Any]], object]) -> Plant:
    """A fault in a JSON file of the export."""
    def plant(folder: Path) -> None:
        data = json.loads((folder / name).read_text(encoding="utf-8"))
        how(data)
        (folder / name).write_text(json.dumps(data), encoding="utf-8")

    return plant


def other_head(folder: Path) -> None:
    """As if it had never been loaded: drawn at random."""
    torch.manual_seed(0)
    head = load_file(folder / "head.safetensors")
    save_file({name: 0.05 * torch.randn_like(tensor) for name, tensor in head.items()}, folder / "head.safetensors")


def no_head(folder: Path) -> None:
    path = folder / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(path).items() if not name.startswith("sequence_summary")}
    save_file(kept, path, metadata={"format": "pt"})


def turn_labels(config: dict[str, Any]) -> None:
    names = [config["id2label"][key] for key in sorted(config["id2label"])]
    config["id2label"] = dict(enumerate(names[::-1]))
    config["label2id"] = {name: number for number, name in enumerate(names[::-1])}


ORDER = change("export.json", lambda about: about["classes"].reverse())
POOLING = change("export.json", lambda about: about.update(pooling="cls"))
OF_TEXTS: list[tuple[str, str, Plant]] = [
    ("adapter", "wrong label order", ORDER), ("adapter", "dropped head", other_head),
    ("adapter", "pooling changed", POOLING),
    ("adapter", "dropped adapter", lambda folder: shutil.rmtree(folder / "adapter")),
    ("merged", "wrong label order", ORDER), ("merged", "dropped head", other_head),
    ("merged", "pooling changed", POOLING),
    ("folder", "wrong label order", change("config.json", turn_labels)), ("folder", "dropped head", no_head),
    ("folder", "pooling changed", change("config.json", lambda config: config.update(summary_type="first"))),
    ("onnx", "wrong label order", ORDER)]


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("traced")
def test_of_texts(trained: Trained, tmp_path: Path) -> None:
    run = trained("text", "bert", "lora")
    for form in dict.fromkeys(form for form, _, _ in OF_TEXTS):
        (tmp_path / form).mkdir()
        FORMATS[form].write(run, tmp_path / form)
    planted = []
    for number, (form, _, plant) in enumerate(OF_TEXTS):
        folder = shutil.copytree(tmp_path / form, tmp_path / f"{form}{number}")
        plant(folder)
        planted.append((FORMATS[form], folder))
    for name in ("pooling changed", "dropped head"):  # of a graph: as its exporter would have written it
        graph = tmp_path / f"onnx {name}"
        graph.mkdir()
        network = run.whole.network
        kept = network.head.weight.clone(), network.pooling
        with torch.no_grad():
            network.pooling = "cls" if name == "pooling changed" else network.pooling
            network.head.weight.mul_(0 if name == "dropped head" else 1)
            FORMATS["onnx"].write(run, graph)
            network.head.weight.copy_(kept[0])
            network.pooling = kept[1]
        planted.append((FORMATS["onnx"], graph))
    found = certificate.of_all(planted, run)
    passed = [(at, one["format"], one["in_32_bits"]) for at, one in enumerate(found) if one["passed"] is not False]
    assert not passed and all(one["reasons"] for one in found)


def double_start(config: dict[str, Any]) -> None:
    """The tokenizer puts its first token twice before a text."""
    single = config["post_processor"]["single"]
    single.insert(0, single[0])


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("traced")
def test_of_language_models(trained: Trained, tmp_path: Path) -> None:
    run = trained("language", "llama", "lora")
    planted = []
    doubled = change("export.json", lambda about: about["prompt"].__setitem__(0, "[CLS]" + about["prompt"][0]))
    for form in ("adapter", "merged", "folder", "onnx"):
        inner = "processor/tokenizer.json" if form == "adapter" else "tokenizer.json"
        for name, plant in (("prompt", doubled), ("text", change(inner, double_start))):
            folder = tmp_path / f"{form} {name}"
            folder.mkdir()
            FORMATS[form].write(run, folder)
            plant(folder)
            planted.append((FORMATS[form], folder))
    for found in certificate.of_all(planted, run):
        assert found["passed"] is False and found["read_otherwise"] == found["rows"], found["format"]
        assert "as other tokens" in " ".join(found["reasons"])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_merged_into_rounded_weights(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As peft merges into 4-bit layers: what comes out is rounded to 4 bits once more."""
    run = trained("text", "bert", "qlora")

    def rounded(run_dir: Path, *, settings: Any, four_bit: bool) -> Any:
        side = artifact.load(Side.of(run_dir), settings=settings, device="cpu")
        merged: Any = side.network.body.merge_and_unload()  # type: ignore[operator]
        plain = artifact.load(Side.of(run_dir), settings=settings, device="cpu")
        weights._unpack(plain, run_dir, settings)
        plain.network.body = plain.network.body.unload()  # type: ignore[operator]
        weights.copy_unpacked(merged, plain.network.body)
        return plain

    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    bad.mkdir()
    FORMATS["merged"].write(run, good)
    monkeypatch.setattr(weights, "whole", rounded)
    again = Finished(folder=run.folder, settings=run.settings, workspace=run.workspace)
    FORMATS["merged"].write(again, bad)
    whole, cut = certificate.of_all([(FORMATS["merged"], good), (FORMATS["merged"], bad)], run)
    assert whole["passed"] is True and cut["passed"] is False
    assert cut["in_32_bits"]["largest_difference"] > 10 * whole["in_32_bits"]["tolerance"]
