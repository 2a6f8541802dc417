"""The recipe as a script: a probe's gives the run's predictions; of what learns in steps it takes the same steps."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from core.domain.model import Weights
from core.domain.recipe import LoraSpec
from core.export import FORMATS, certificate, checker, upload, words
from core.export import rows as test_rows
from core.export.finished import Finished
from core.metrics import REGISTRY, Judged, paired
from core.models import methods
from tests import turns
from tests.unit.export.test_certificates import paths_of_this_machine

Trained = Callable[..., Finished]
SCRIPT = FORMATS["script"]
STEPS = 1e-3
"""What rounding of a few steps of a tiny model adds up to; another first head or order of rows changes tenths."""
EVERY: list[tuple[str, str, str, dict[str, Any]]] = [
    ("text", "bert", "full", {"dropout": 0.1}), ("text", "bert", "partial", {}),
    ("text", "bert", "full", {"gradient_accumulation": 2, "label_budget": 30}), ("text", "bert", "scratch", {}),
    ("text", "bert", "lora", {"head_init": "random"}), ("text", "bert", "dora", {}), ("text", "bert", "lp_ft", {}),
    ("text", "bert", "gradual_unfreezing", {"dropout": 0.1}), ("picture", "efficientnet", "gradual_unfreezing", {}),
    ("text", "bert", "l2_sp", {}), ("text", "bert", "contrastive", {}), ("text", "bert", "bitfit", {}),
    ("text", "bert", "ia3", {}),
    ("text", "bert", "qlora", {}), ("text", "gpt2", "lora", {"lora": LoraSpec(rank=4, dropout=0.1)}),
    ("picture", "vit", "probe", {}), ("picture", "vit", "lora", {}), ("picture", "efficientnet", "full", {}),
    ("picture", "resnet", "scratch", {}), ("picture", "resnet", "partial", {}), ("picture", "dinov2", "qlora", {})]
CASES = turns.part(EVERY, every=2)

LANGUAGE: list[Any] = [
    ("llama", "lora", {"lora": LoraSpec(rank=4, dropout=0.1)}), ("gpt2", "full", {"dropout": 0.1}),
    ("llama", "probe", {}), ("llama", "qlora", {}), ("llama", "kl_to_base", {"lora": LoraSpec(rank=4, dropout=0.1)}),
    *[pytest.param(*case, marks=pytest.mark.slow) for case in turns.part((
        ("llama", "lora", {"gradient_accumulation": 2, "early_stopping_patience": 1, "evaluations_per_epoch": 2}),
        ("llama", "partial", {}), ("gpt2", "scratch", {}), ("llama", "dora", {}), ("llama", "l2_sp", {}),
        ("llama", "ia3", {}), ("llama", "oft", {}), ("llama", "shira", {}), ("llama", "miss", {}),
        ("llama", "osf", {}), ("llama", "osf", {"precision": "bf16"}),
        ("gpt2", "bitfit", {}), ("llama", "gradual_unfreezing", {})), every=3)]]


def written(run: Finished, folder: Path) -> tuple[Any, Path]:
    folder.mkdir()
    SCRIPT.write(run, folder)
    return SCRIPT, folder


@pytest.mark.timeout(300)
def test_of_a_probe_in_a_process_without_thaw(trained: Trained, tmp_path: Path) -> None:
    """Its predictions are the run's, and a planted fault is found."""
    run = trained("text", "bert", "probe")
    good, bad = written(run, tmp_path / "good"), written(run, tmp_path / "bad")
    about = json.loads((bad[1] / "script.json").read_text(encoding="utf-8"))
    (bad[1] / "script.json").write_text(json.dumps(about | {"pooling": "cls"}), encoding="utf-8")
    same, other = certificate.of_all([good, bad], run)
    assert same["passed"] and same["largest_difference"] < 1e-6 and same["flipped"] == 0 and same["rows"] == 18
    assert other["passed"] is False and {"scikit-learn", "pyarrow"} <= set(same["versions"])
    text = "".join(path.read_text(encoding="utf-8") for path in good[1].iterdir())
    assert run.rows is not None and not any(row in text for row in run.rows.content)  # rows are not handed on
    assert "import core" not in text and "from core" not in text and not paths_of_this_machine(good[1], run)


@pytest.mark.timeout(300)
def test_of_steps_is_judged_by_its_metric(trained: Trained, tmp_path: Path) -> None:
    run = trained("text", "distilbert", "lora", "bf16")
    good, bad = written(run, tmp_path / "steps"), written(run, tmp_path / "astray")
    about = json.loads((bad[1] / "script.json").read_text(encoding="utf-8"))
    (bad[1] / "script.json").write_text(json.dumps(about | {"classes": about["classes"][::-1]}), encoding="utf-8")
    same, other = certificate.of_all([good, bad], run)
    assert same["passed"] and same["in_32_bits"]["tolerance"] is None
    assert other["passed"] is False and "outside of the run's interval" in other["reasons"][0]
    said = words.said(same)
    assert "passes where its metric lies in the run's interval" in said[2] and "It took" in said[-1]
    assert "in bf16 each of them is rounded further" in (good[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("kind", "model", "method", "changes"), CASES)
def test_takes_the_same_steps(kind: str, model: str, method: str, changes: dict[str, Any], trained: Trained,
                              tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is run here, where what it needs is loaded."""
    run = trained(kind, model, method, **changes)
    assert SCRIPT.applies_to(run.recipe, run.facts) is None
    folder, rows = written(run, tmp_path / "script")[1], test_rows.of_run(run)
    assert rows is not None
    monkeypatch.setattr("sys.argv", [])
    said = checker.script(rows.asked, {"folder": str(folder), "base": str(run.base_folder), "data": run.rows_file,
                                       "out": str(tmp_path / "out")})
    found, recorded = np.asarray(said["answers"]), test_rows.recorded_values(rows)
    assert np.abs(found - recorded).max() < STEPS and (found.argmax(1) == recorded.argmax(1)).all()
    needed = (folder / "requirements.txt").read_text(encoding="utf-8")
    four_bit = methods.card_of(method).weights is Weights.FOUR_BIT
    assert ("peft==" in needed) == (methods.card_of(method).adapter is not None) and "torch==" in needed
    assert ("bitsandbytes==" in needed) == four_bit and ("torchvision==" in needed) == (kind == "picture")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("model", "method", "changes"), LANGUAGE)
def test_of_a_language_model_takes_the_same_steps(model: str, method: str, changes: dict[str, Any], trained: Trained,
                                                  tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained("language", model, method, **changes)
    assert SCRIPT.applies_to(run.recipe, run.facts) is None
    folder, rows = written(run, tmp_path / "script")[1], test_rows.of_run(run)
    assert rows is not None
    monkeypatch.setattr("sys.argv", [])
    said = checker.script(rows.asked, {"folder": str(folder), "base": str(run.base_folder), "data": "",
                                       "out": str(tmp_path / "out")})["answers"]
    found, tokens = np.array([answer["loss"] for answer in said]), np.asarray(rows.recorded.tokens)
    assert (np.abs(found - test_rows.recorded_values(rows)) / tokens).max() < STEPS
    assert all(answer["read"] for answer in said) and sum(tokens) > 0
    steps = json.loads((folder / "script.json").read_text(encoding="utf-8"))["steps"]
    assert steps == (method != "probe")
    needed = (folder / "requirements.txt").read_text(encoding="utf-8")
    assert ("peft==" in needed) == (methods.card_of(method).adapter is not None) and "scikit-learn" not in needed


@pytest.mark.timeout(300)
def test_of_a_language_model_in_a_process_without_thaw(trained: Trained, tmp_path: Path) -> None:
    """Its loss is the run's; tokens that are not the run's are found, though the loss may stay in the interval."""
    run = trained("language", "llama", "lora", "bf16")
    good, bad = written(run, tmp_path / "good"), written(run, tmp_path / "bad")
    table = parquet.read_table(bad[1] / "tokens.parquet")
    ids = [[row[0], *row[:-1]] for row in table["ids"].to_pylist()]  # a doubled start
    parquet.write_table(table.set_column(table.column_names.index("ids"), "ids", pa.array(ids, pa.list_(pa.int32()))),
                        bad[1] / "tokens.parquet")
    same, other = certificate.of_all([good, bad], run)
    assert same["passed"] and same["in_32_bits"]["tolerance"] is None and not same["read_otherwise"]
    assert other["passed"] is False and other["read_otherwise"] == other["rows"] > 0
    text = "".join(path.read_text(encoding="utf-8") for path in good[1].glob("*.*") if path.suffix != ".parquet")
    assert run.rows is not None and not any(row in text for row in run.rows.content)
    assert "import core" not in text and "from core" not in text and not paths_of_this_machine(good[1], run)
    assert "tokens.parquet" in upload.plan(good[1], "a/b", public=False)["left_here"]  # rows stay here


def test_the_pages_keep_a_step_by_the_rule_of_the_run(trained: Trained, tmp_path: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    """Near the edge of one standard error, rows by themselves and in groups."""
    folder = written(trained("language", "llama", "probe"), tmp_path / "script")[1]
    monkeypatch.syspath_prepend(str(folder))
    page = runpy.run_path(str(folder / "train.py"))
    sys.modules.pop("rows", None)
    rng, answers = np.random.default_rng(3), []
    for groups in (None, np.repeat(np.arange(20), 3)):
        tokens = rng.integers(1, 9, 60)
        best = {"loss": rng.random(60, np.float32) * tokens, "tokens": tokens}
        for worse in np.linspace(-0.02, 0.06, 9):
            now = {"loss": best["loss"] + (worse + 0.1 * rng.standard_normal(60)) * tokens, "tokens": tokens}
            judged = [Judged(losses=said["loss"], tokens=tokens, bytes=tokens, right=tokens, groups=groups)
                      for said in (now, best)]
            difference = paired.by_bootstrap(REGISTRY["loss"], *judged)
            rule = difference.value <= (difference.high - difference.low) / (2 * 1.96)
            answers.append(rule)
            assert page["as_good"](now, best, groups) == rule
    assert 3 < sum(answers) < 15


def test_what_has_no_script_says_why(trained: Trained) -> None:
    recipe = trained("text", "bert", "lora").recipe
    assert "GPU" in str(SCRIPT.applies_to(recipe.replace(precision="fp16"), None))
    assert "augmented" in str(SCRIPT.applies_to(recipe.replace(augmentation="light"), None))
    assert SCRIPT.applies_to(recipe, None) is None
    language = trained("language", "llama", "lora").recipe
    assert "bound on forgetting" in str(SCRIPT.applies_to(language.replace(forgetting_bound=0.1), None))
    assert "after training" in str(SCRIPT.applies_to(recipe.replace(method="wise_ft"), None))
