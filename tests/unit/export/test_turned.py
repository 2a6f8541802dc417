"""An export at a strength says what the run's own network says at it, in a process without Thaw."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.analysis import strength_files
from core.domain.side import Side
from core.domain.strength import Turn
from core.errors import NotFoundError, ThawError
from core.export import certificate, exporting, strengths, turned
from core.export.finished import Finished
from core.training import artifact
from tests import turns

Trained = Callable[..., Finished]
CASES = [("text", "bert", "lora", "fp32", ("adapter",)),
         *[pytest.param(*case, marks=pytest.mark.slow) for case in turns.part((
             ("text", "bert", "lora", "bf16", ("merged", "onnx")), ("text", "bert", "full", "fp32", ("folder",)),
             ("text", "bert", "dora", "fp32", ("merged",)), ("text", "bert", "partial", "bf16", ("adapter", "folder")),
             ("text", "bert", "qlora", "bf16", ("adapter", "merged")), ("picture", "vit", "lora", "bf16", ("folder",)),
             ("language", "llama", "lora", "fp32", ("adapter", "merged")),
             ("language", "gpt2", "full", "fp32", ("folder",))), every=3)]]


def export(run: Finished, target: Path, form: str, strength: str) -> dict[str, object]:
    return exporting.export(run.folder, target, form=form, settings=run.settings, workspace=run.workspace,
                            strength=strength)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(("kind", "model", "method", "precision", "forms"), CASES)
def test_an_export_at_a_strength_says_what_the_runs_network_says_there(
        kind: str, model: str, method: str, precision: str, forms: tuple[str, ...], trained: Trained,
        tmp_path: Path) -> None:
    run = trained(kind, model, method, precision)
    strength_files.save_point(run.folder, "careful", Turn(strength=0.5))
    for form in forms:
        found = export(run, tmp_path / form, form, "careful")["certificate"]
        assert isinstance(found, dict)
        assert found["passed"] is True and found["rows"] > 0, found
        assert found["run"] == run.folder.name and found["strength"] == "careful"
        assert "the setting careful (strength 0.5)" in found["compared_with"]
        assert json.loads((tmp_path / form / turned.FILE).read_text())["strength"] == 0.5
        assert not (tmp_path / form / "result.json").exists()


def test_the_adapter_holds_the_scaled_update_and_the_head_between(trained: Trained, tmp_path: Path) -> None:
    run = trained("text", "bert", "lora", "fp32")
    own = run.folder / "artifact"
    with turned.at(run, "0.5", form="adapter") as half, turned.at(run, "1", form="adapter") as whole:
        for name, tensor in load_file(own / "adapter" / "adapter_model.safetensors").items():
            factor = 0.5 if "lora_B" in name else 1.0
            file = "artifact/adapter/adapter_model.safetensors"
            assert torch.equal(load_file(half.folder / file)[name], factor * tensor)
            assert torch.equal(load_file(whole.folder / file)[name], tensor)
        heads = [load_file(folder / name) for folder, name in (
            (own, artifact.BASE_HEAD_FILE), (own, artifact.HEAD_FILE), (half.folder / "artifact", artifact.HEAD_FILE))]
        for name in heads[1]:
            torch.testing.assert_close(heads[2][name], (heads[0][name].float() + heads[1][name]) / 2)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_weights_of_another_strength_fail_their_certificate(trained: Trained, tmp_path: Path,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained("text", "bert", "lora", "fp32")
    laid_out = turned._laid_out

    def wrong(plain: Finished, side: Side, folder: Path) -> turned.Turned:
        found = laid_out(plain, side, folder)
        file = found.folder / "artifact" / "adapter" / "adapter_model.safetensors"
        save_file({name: tensor * (2 if "lora_B" in name else 1) for name, tensor in load_file(file).items()}, file,
                  metadata={"format": "pt"})
        return found

    monkeypatch.setattr(turned, "_laid_out", wrong)
    found = export(run, tmp_path / "out", "adapter", "0.5")["certificate"]
    assert isinstance(found, dict) and found["passed"] is False
    assert json.loads((tmp_path / "out" / certificate.FILE).read_text())["passed"] is False


def test_what_cannot_be_written_at_a_strength_says_why(trained: Trained, tmp_path: Path) -> None:
    run = trained("text", "bert", "lora", "fp32")
    for form, why in (("script", "trains again"), ("card", "as it was trained")):
        with pytest.raises(ThawError) as refused:
            export(run, tmp_path / form, form, "0.5")
        assert why in refused.value.why and not (tmp_path / form).exists()
    assert "DoRA" in (strengths.refusal("adapter", replace(run.recipe, method="dora")) or "")
    assert strengths.refusal("merged", replace(run.recipe, method="dora")) is None
    assert "random weights" in (strengths.refusal("merged", replace(run.recipe, method="scratch")) or "")
    with pytest.raises(NotFoundError, match="no saved strength"):
        export(run, tmp_path / "x", "merged", "loud")
    assert not np.any([path.name.startswith(".") for path in tmp_path.iterdir()])
