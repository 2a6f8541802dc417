"""The command line: grammar and exit status, and one small comparison carried through every command that uses it."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from core import __main__ as program
from core import settings as settings_module
from core.analysis import forgetting
from core.cli import compare, follow, output, parser, sources
from core.data.forms import Wanted
from core.domain.dataset import Role
from core.domain.model import ModelFacts
from core.domain.run import Interval, PanelChange, Result
from core.domain.side import Side
from core.metrics import METRICS, OF_CLASSES, Unit
from tests import tiny
from tests.conftest import ready

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THAW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("THAW_HUB", "0")
    return tmp_path / "home"


def write_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


@pytest.mark.parametrize("argv", [[], ["unknown"], ["data"], ["compare", "--data", "x"],
                                  ["export", "d", "--to", "t", "--as", "zip"],
                                  ["compare", "--data", "x", "--model", "m", "--out", "o", "--seeds", "0"]])
def test_wrong_usage_is_status_2(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        program.main(argv)
    assert caught.value.code == 2


def test_every_command_leads_to_a_function() -> None:
    import importlib

    for target in program.HANDLERS.values():
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function)), target


def test_an_error_has_three_parts_and_status_1(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["predict", str(home), "--input", "x"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "Error:" in said.err
    assert "Why:" in said.err
    assert "What to do:" in said.err
    assert program.main(["stop", "nothing", "--json"]) == 1
    assert set(json.loads(capsys.readouterr().out)["error"]) == {"kind", "what", "why", "remedy"}


def test_a_bad_setting_is_an_error_not_a_traceback(monkeypatch: pytest.MonkeyPatch,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("THAW_SLOTS", "many")
    assert program.main(["runs"]) == 1
    assert "THAW_SLOTS" in capsys.readouterr().err


def test_unknown_method_budget_and_data_are_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["compare", "--model", "minilm", "--out", str(home / "out")]
    assert program.main([*base, "--data", "no-such-set", "--methods", "magic"]) == 1
    assert "magic" in capsys.readouterr().err
    assert program.main([*base, "--data", "no-such-set"]) == 1
    assert "bbc-news" in capsys.readouterr().err


def test_a_method_that_a_task_does_not_take_is_refused_before_a_model_is_fetched(
        home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts, _ = tiny.make_texts(40)
    tales = tmp_path / "tales.txt"
    tales.write_text("\n\n".join(texts), encoding="utf-8")
    assert program.main(["compare", "--data", str(tales), "--task", "language", "--model", "owner/not-here",
                         "--methods", "lp_ft", "--out", str(home / "out")]) == 1
    said = capsys.readouterr().err
    assert "Error: There is nothing to compare." in said
    assert "applies to this task" in said and "there is no new head to begin with" in said
    offered = said.partition("What to do: Choose among the methods that do: ")[2].rstrip(".\n").split(", ")
    assert {"probe", "partial", "full", "lora"} <= set(offered) and "lp_ft" not in offered
    assert not (home / "out").exists() and not (home / "assets").exists()


def test_data_check_prints_the_document_of_the_design(home: Path, tmp_path: Path,
                                                      capsys: pytest.CaptureFixture[str]) -> None:
    texts, labels = tiny.make_texts(60)
    path = write_csv(tmp_path / "rows.csv", [*zip(texts, labels, strict=True), ("", labels[0])])
    assert program.main(["data", "check", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["rows_read"] == 61 == report["rows_kept"] + len(report["left_out"])
    assert report["left_out"][0]["row"] == 61
    assert set(report["left_out"][0]) >= {"row", "reason"}
    assert report["columns"] == {"text": "text", "label": "label"}
    assert sum(report["classes"].values()) == report["rows_kept"]
    assert all(set(f) >= {"code", "severity", "count", "message", "remedy"} for f in report["findings"])
    assert program.main(["data", "check", str(path)]) == 0
    assert "61 rows read = 60 kept + 1 left out" in capsys.readouterr().out


def test_data_check_of_a_dataset_that_is_here_gives_the_report_of_its_import(
        home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts, labels = tiny.make_texts(60)
    path = write_csv(tmp_path / "rows.csv", [*zip(texts, labels, strict=True), ("", labels[0])])
    settings = settings_module.load()
    made = sources.dataset(str(path), shift=None, settings=settings, workspace=parser.WORKSPACE)
    capsys.readouterr()
    assert program.main(["data", "check", made.id, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["rows_read"] == 61 and report["rows_kept"] == made.rows_kept == 60
    assert program.main(["data", "check", "0123456789abcdef"]) == 1
    assert "0123456789abcdef" in capsys.readouterr().err


def test_data_check_of_a_file_that_cannot_be_used_is_status_1(home: Path, tmp_path: Path,
                                                              capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(tmp_path / "one.csv", [("a text", "same"), ("another", "same")])
    assert program.main(["data", "check", str(path), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert any(f["severity"] == "error" for f in report["findings"])


def test_table_aligns_and_keeps_every_cell() -> None:
    text = output.table(["name", "n"], [["a", "1"], ["long", "20"]])
    assert text.splitlines() == ["name   n", "----  --", "a      1", "long  20"]


def test_numbers_for_people() -> None:
    measured = Interval(value=0.9622, low=0.9411, high=0.9788)
    assert output.number(METRICS[0], measured) == "96.2 % [94.1, 97.9]"
    assert output.number(dataclasses.replace(METRICS[0], unit=Unit.PLAIN), measured) == "0.96 [0.94, 0.98]"
    assert output.number(METRICS[0], None) == "-"
    assert [output.size(n) for n in (12, 12_345, 83_500_000, 1_600_000_000)] == ["12 B", "12.3 kB", "83.5 MB", "1.6 GB"]


def test_the_metric_that_decides_is_the_one_said_while_training() -> None:
    first, second = METRICS[:2]
    event = {"kind": "eval", "step": 4, "loss": 0.5, second.name: 0.25, first.name: 0.931}
    assert follow.validation(event) == f"validation {first.label} 93.1 %"
    assert follow.validation({"loss": 0.5}) == "validation loss 0.500"


def test_the_table_of_a_comparison_has_a_column_for_every_metric(capsys: pytest.CaptureFixture[str]) -> None:
    scores = {metric.name: {"value": 0.5, "low": 0.25, "high": 0.75} for metric in OF_CLASSES}
    run = {"method": "probe", "seed": 0, "budget": None, "status": "done",
           "metrics": dict.fromkeys(("test", "shift", "validation"), scores), "trainable_params": 10, "seconds": 1.0,
           "marginal_seconds": 1.0, "peak_memory_bytes": 10, "artifact_bytes": 10}
    report = {"model": "minilm", "dataset": {"name": "Tiny", "rows": {"test": 9}}, "runs": [run, run | {"metrics": {}}],
              "paired": []}
    compare._print(report, Path("out"))
    head, _, whole, empty = capsys.readouterr().out.splitlines()[1:5]
    assert all(metric.label in head for metric in OF_CLASSES) and head.count("shift-set") == 1
    assert whole.count("50.0 % [25.0, 75.0]") == len(OF_CLASSES) + 1 and "%" not in empty


def test_a_language_run_says_what_it_forgot_beside_its_scores(capsys: pytest.CaptureFixture[str]) -> None:
    change = Interval(value=0.1, low=0.08, high=0.12)
    loss = {"test": {"loss": Interval(value=2.9, low=2.8, high=3.0)}}
    result = Result(metrics=loss, base=loss, trainable_params=1, total_params=2, seconds=1.0, phase_seconds={},
                    peak_memory_bytes=3, estimated_memory_bytes=4, artifact_bytes=5, steps=6, samples=7,
                    precision="fp32", device="cpu", panel={"news": PanelChange(before=4.0, after=4.1, change=change)},
                    panel_change=change, kl={"task": change, "panel": change},
                    noise_floor={"panel": {"news": 0.01}, "pooled": 0.01, "target": 0.01, "from": "precision"})
    numbers = compare._numbers(result)
    assert numbers["base"]["test"]["loss"] == numbers["test"]["loss"] == {"value": 2.9, "low": 2.8, "high": 3.0}
    assert numbers["panel"]["news"]["change"] == {"value": 0.1, "low": 0.08, "high": 0.12}
    assert set(numbers["kl"]) == {"task", "panel"}
    assert set(compare._numbers(dataclasses.replace(result, base={}, panel={}, panel_change=None, kl={}))) == {"test"}
    run = {"id": "one", "method": "probe", "seed": 0, "budget": None, "status": "done", "metrics": numbers,
           "trainable_params": 10, "seconds": 1.0, "marginal_seconds": 1.0, "peak_memory_bytes": 10,
           "artifact_bytes": 10, "forgotten": forgetting.sentences(result)}
    compare._print({"model": "m", "dataset": {"name": "Tales", "rows": {"test": 9}}, "runs": [run], "paired": []},
                   Path("out"))
    assert "one: Forgot some of news: loss rose from 4.000 to 4.100" in capsys.readouterr().out


def test_help_is_quick_and_leaves_torch_out() -> None:
    code = ("import sys; from core.cli import parser; parser.build(); assert not {'torch', 'pandas', 'streamlit'} & "
            "set(sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False).returncode == 0
    assert parser.build().prog == "python -m core"


# -- one small comparison, carried through -----------------------------------------------------------------------------


class Compared(NamedTuple):
    """A finished comparison of a tiny model."""

    report: dict[str, Any]
    out: Path
    environment: dict[str, str]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Compared:
    """`compare` of a tiny model, three methods, 60 rows, with a shift set."""
    folder = tmp_path_factory.mktemp("cli")
    texts, labels = tiny.make_texts(120)
    data = write_csv(folder / "rows.csv", list(zip(texts, labels, strict=True)))
    others, names = tiny.make_texts(30, seed=1)
    shift = write_csv(folder / "shift.csv", [*zip(others, [name.upper() for name in names], strict=True),
                                             *((f"unknown kind {i}", "elsewhere") for i in range(5))])
    environment = {**os.environ, "THAW_HOME": str(folder / "home"), "THAW_HUB": "0", "THAW_THREADS": "1"}
    ready(folder / "home")
    done = subprocess.run([sys.executable, "-m", "core", "compare", "--data", str(data), "--shift-data", str(shift),
                           "--model", str(tiny_model), "--methods", "probe,partial,lora", "--budgets", "60", "--effort",
                           "quick", "--freeze", "embeddings,0-1", "--out", str(folder / "out"), "--json"],
                          cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    assert "elsewhere" in done.stderr
    return Compared(json.loads(done.stdout), folder / "out", environment)


@pytest.fixture
def core(compared: Compared, monkeypatch: pytest.MonkeyPatch,
         capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Runs a command in this process on the comparison's data folder; returns its JSON document."""
    def run(*args: str, status: int = 0) -> dict[str, Any]:
        monkeypatch.setenv("THAW_HOME", compared.environment["THAW_HOME"])
        monkeypatch.setenv("THAW_HUB", "0")
        assert program.main([*args, "--json"]) == status
        return dict(json.loads(capsys.readouterr().out))

    return run


def test_plan_is_methods_times_budgets_times_seeds(tmp_path: Path) -> None:
    from core.cli import compare
    from core.domain.dataset import Dataset, Task
    from core.domain.model import Block, LinearLayer, ModelFacts

    layer = LinearLayer(name="layers.0.q", kind="attention", in_features=8, out_features=8)
    facts = ModelFacts(id="m", revision="r", architecture="a", tasks=(Task.TEXT_CLASSIFICATION,), hidden_size=8,
                       intermediate_size=16, attention_heads=2, max_length=64,
                       blocks=(Block(index=0, name="embeddings", parameters=10), Block(
                           index=1, name="block 0", parameters=64, linear_parameters=64, linear_layers=(layer,))))
    dataset = Dataset(id="d", name="d", task=Task.TEXT_CLASSIFICATION, content_hash="h", classes=("a", "b"), source="s",
                      counts={"train": {"a": 50, "b": 50}}, mean_length=100.0)
    arms = compare.plan(dataset, facts, methods=["full", "lora"], seeds=range(2), budgets=[10, 5000, None],
                        level="normal", freeze_spec="embeddings", out=tmp_path)
    assert len(arms) == 2 * 3 * 2 == len({arm.id for arm in arms})
    assert {arm.recipe.label_budget for arm in arms} == {10, None}  # more than there are is all
    assert {(arm.recipe.method, arm.recipe.freeze.frozen) for arm in arms} == {("full", ()), ("lora", ("embeddings",))}
    assert {arm.recipe.seed for arm in arms} == {0, 1}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_compare_document(compared: Compared) -> None:
    report, out, _ = compared
    assert set(report["dataset"]) >= {"name", "hash"}
    assert ([(r["method"], r["budget"], r["seed"]) for r in report["runs"]]
            == [(m, 60, 0) for m in ("probe", "partial", "lora")])
    for run in report["runs"]:
        assert (run["status"], run["failure"]) == ("done", None)
        for split in ("test", "shift"):
            for metric in ("accuracy", "macro_f1"):
                interval = run["metrics"][split][metric]
                assert 0 <= interval["low"] <= interval["value"] <= interval["high"] <= 1
        assert Path(run["folder"]) == out / run["id"]
        assert min(run["seconds"], run["peak_memory_bytes"], run["estimated_memory_bytes"], run["artifact_bytes"]) > 0
    asked = "embeddings, blocks 0–1 frozen"
    assert ({run["method"]: run["freeze"] for run in report["runs"]}
            == {"probe": "all but head frozen", "partial": asked, "lora": asked})
    assert json.loads((out / "compare.json").read_text(encoding="utf-8")) == report
    assert [test["a"] for test in report["paired"]] == ["probe-60-seed0"] * 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_estimated_parameters_are_the_measured_ones(compared: Compared, tiny_facts: ModelFacts) -> None:
    from core.domain.recipe import Recipe
    from core.planning import footprint

    for run in compared.report["runs"]:
        counted = footprint.count(Recipe.from_json(run["recipe"]), facts=tiny_facts, n_classes=3)
        assert (counted.trainable, counted.total) == (run["trainable_params"], run["total_params"]), run["id"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_predict_reproduces_the_recorded_predictions(compared: Compared, core: Callable[..., dict[str, Any]],
                                                     tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    run_dir = compared.out / "lora-60-seed0"
    datasets = Path(compared.environment["THAW_HOME"], "workspaces", "cli", "datasets")
    rows = pq.read_table(datasets / compared.report["dataset"]["id"] / "rows.parquet").to_pylist()
    recorded = {r["row_id"]: r["prediction"] for r in pq.read_table(run_dir / "predictions-test.parquet").to_pylist()}
    wanted = [r for r in rows if r["row_id"] in recorded]
    path = write_csv(tmp_path / "test.csv", [(r["text"], "x") for r in wanted])
    found = core("predict", str(run_dir), "--input", str(path), "--text", "text")["predictions"]
    classes = list(found[0]["probabilities"])
    assert [p["label"] for p in found] == [classes[recorded[r["row_id"]]] for r in wanted]
    base = core("predict", str(run_dir), "--input", wanted[0]["text"], "--base")
    assert base["side"] == "base"
    assert base["predictions"][0]["probabilities"] != pytest.approx(found[0]["probabilities"], abs=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_shift_is_exactly_nothing_on_frozen_blocks(compared: Compared, core: Callable[..., dict[str, Any]]) -> None:
    report = core("shift", str(compared.out / "partial-60-seed0"))
    assert set(report) >= {"run", "base", "rows", "blocks", "map"}
    assert [block["frozen"] for block in report["blocks"]] == [True, True, True, False, False]
    for block in report["blocks"]:
        if block["frozen"]:
            assert (block["cka"], block["displacement"]) == (1.0, 0.0), block["name"]
        else:
            assert block["displacement"] > 0, block["name"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_shift_beside_another_dataset_names_it(compared: Compared, core: Callable[..., dict[str, Any]],
                                               tmp_path: Path) -> None:
    run_dir = str(compared.out / "partial-60-seed0")
    texts, labels = tiny.make_texts(40, seed=5)
    rows = [(f"{text} {i}", f"kind {label}") for i, (text, label) in enumerate(zip(texts, labels, strict=True))]
    other = write_csv(tmp_path / "other.csv", rows)
    plain, report = core("shift", run_dir), core("shift", run_dir, "--beside", str(other))
    assert plain["beside"] is None and report["beside"]["name"] == "other" and report["dataset"] == plain["dataset"]
    assert report["shift_rows"] == 40 and report["rows"] - 40 == plain["rows"] - plain["shift_rows"]
    for old, new in zip(plain["blocks"], report["blocks"], strict=True):
        assert new["displacement_shift"] == 0 if new["frozen"] else new["displacement_shift"] > 0
        for number in ("cka", "displacement", "probe_accuracy_tuned"):
            assert new[number] == old[number]
    own = plain["dataset"]["id"]
    assert "cannot stand beside" in core("shift", run_dir, "--beside", own, status=1)["error"]["what"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_exports(compared: Compared, core: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    run_dir = str(compared.out / "lora-60-seed0")
    adapter = core("export", run_dir, "--to", str(tmp_path / "adapter"), "--as", "adapter")
    assert "adapter/adapter_model.safetensors" in adapter["files"]
    core("export", run_dir, "--to", str(tmp_path / "merged"), "--as", "merged")
    assert_same_body(Path(run_dir), tmp_path / "merged", compared.environment)
    assert adapter["certificate"]["passed"]
    refused = core("export", run_dir, "--to", str(tmp_path / "merged"), "--as", "adapter", status=1)
    assert "not an empty folder" in refused["error"]["what"]
    dry = core("export", run_dir, "--to", str(tmp_path / "merged"), "--as", "merged", "--upload", "me/it", "--dry-run")
    assert dry["upload"]["dry_run"] and dry["upload"]["private"] and dry["certificate"]["passed"]
    assert {file["name"] for file in dry["upload"]["files"]} == set(dry["files"])  # what was written before
    wet = core("export", run_dir, "--to", str(tmp_path / "no"), "--as", "merged", "--upload", "me/it", status=1)
    assert "THAW_HUB=0" in wet["error"]["why"] and not (tmp_path / "no").exists()
    alone = core("export", run_dir, "--to", str(tmp_path / "no"), "--as", "merged", "--public", status=1)
    assert "nothing to upload" in alone["error"]["what"]


def assert_same_body(run_dir: Path, merged: Path, environment: dict[str, str]) -> None:
    """The merged folder, loaded by transformers alone, and the run's tuned side agree on a text."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from core import settings
    from core.training import artifact

    side = artifact.load(Side.of(run_dir), settings=settings.load(environment), device="cpu")
    inputs = dict(AutoTokenizer.from_pretrained(merged)("team goal the market", return_tensors="pt"))
    inputs.pop("token_type_ids", None)
    with torch.no_grad():
        tuned = side.network.body(**inputs).last_hidden_state
        alone = AutoModel.from_pretrained(merged).eval()(**inputs).last_hidden_state
    torch.testing.assert_close(alone, tuned, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_failed_run_is_reported_and_the_others_go_on(compared: Compared, tmp_path: Path) -> None:
    from core import settings
    from core.cli import compare
    from core.domain.recipe import Recipe
    from core.domain.run import Status

    good = Recipe.from_json(compared.report["runs"][0]["recipe"])
    arms = [compare.Arm(recipe=good.replace(dataset="0" * 16), folder=tmp_path / "bad"),
            compare.Arm(recipe=good, folder=tmp_path / "good")]
    outcomes = compare.train_all(arms, settings=settings.load(compared.environment), workspace="cli")
    assert outcomes["bad"].status is Status.FAILED
    assert outcomes["bad"].failure is not None
    assert outcomes["bad"].failure.remedy
    assert "Traceback" in (tmp_path / "bad" / "log.txt").read_text(encoding="utf-8")
    assert outcomes["good"].status is Status.DONE


# -- a person's own files ----------------------------------------------------------------------------------------------


def picture_zip(path: Path, *, folders: bool = True) -> Path:
    import io
    import zipfile

    with zipfile.ZipFile(path, "w") as bundle:
        for i in range(36):
            name, data = sorted(tiny.SHAPES)[i % 3], io.BytesIO()
            tiny.make_picture(name, seed=i).save(data, "PNG")  # type: ignore[attr-defined]
            bundle.writestr(f"my set/{name}/{i}.PNG" if folders else f"{i}.PNG", data.getvalue())
        if not folders:
            bundle.writestr("rows.csv",
                            "picture,kind\n" + "".join(f"{i}.png,{sorted(tiny.SHAPES)[i % 3]}\n" for i in range(36)))
    return path


def ingest_by_name(name: Path, capsys: pytest.CaptureFixture[str], **given: Any) -> tuple[Any, str]:
    """What `compare --data NAME` makes of a file, and what it says on stderr."""
    from core import settings
    from core.cli import sources

    made = sources.dataset(str(name), **({"shift": None} | given),
                           settings=settings.load(), workspace="cli")
    return made, capsys.readouterr().err


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "parquet", "zip", "tar.gz", "folder"])
def test_compare_takes_every_kind_of_file_and_says_where_rows_come_from(home: Path, tmp_path: Path,
                                                                        capsys: pytest.CaptureFixture[str],
                                                                        kind: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts, labels = tiny.make_texts(60)
    path = tmp_path / f"mine.{kind}"
    rows = [{"body": text, "topic": label} for text, label in zip(texts, labels, strict=True)]
    if kind == "csv":
        path.write_text("body,topic\n" + "".join(f"{r['body']},{r['topic']}\n" for r in rows))
    elif kind in ("jsonl", "json"):
        path.write_text(json.dumps(rows) if kind == "json" else "\n".join(map(json.dumps, rows)))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        picture_zip(tmp_path / "mine.zip")
        if kind != "zip":
            import shutil

            shutil.unpack_archive(tmp_path / "mine.zip", tmp_path / "unpacked")
            unpacked = tmp_path / "unpacked"
            path = (Path(shutil.make_archive(str(tmp_path / "mine"), "gztar", unpacked)) if kind == "tar.gz"
                    else unpacked)
    made, said = ingest_by_name(path, capsys)
    pictured = kind in ("zip", "tar.gz", "folder")
    assert made.rows_kept == (36 if pictured else 60) and made.name == ("unpacked" if kind == "folder" else "mine")
    assert ("pictures labelled by their folders" if pictured else "text from 'body', label from 'topic'") in said
    assert "None" not in said


def test_columns_given_by_hand_need_not_be_in_the_shift_set(home: Path, tmp_path: Path,
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    named = picture_zip(tmp_path / "named.zip", folders=False)
    made, said = ingest_by_name(named, capsys, shift=str(picture_zip(tmp_path / "folders.zip")),
                                wanted=Wanted(columns={Role.TEXT: "picture", Role.LABEL: "kind"}))
    assert "pictures named by 'picture', label from 'kind'" in said and "pictures labelled by their folders" in said
    assert (made.rows("shift"), made.rows_kept) == (36, 72)
    from core import settings
    from core.data import library

    listed = library.list_datasets(settings=settings.load(), workspace="cli")
    assert [dataset.name for dataset in listed if dataset.id != made.id] == ["named"], "no shift set"


def test_leaks_and_spellings_are_mended_on_request(home: Path, tmp_path: Path,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    texts, labels = tiny.make_texts(90)
    labels[7] = labels[7].upper()
    rows = [(text, label, ("train", "train", "test")[i % 3])
            for i, (text, label) in enumerate(zip(texts, labels, strict=True))]
    rows += [(text, label, "test") for text, label, split in rows if split == "train"][:4]
    path = tmp_path / "leaky.csv"
    path.write_text("text,label,split\n" + "".join(",".join(row) + "\n" for row in rows))
    for options, left in (([], {"leakage", "label-spelling"}), (["--fix-leaks"], {"label-spelling"}),
                          (["--merge-labels"], {"leakage"}), (["--fix-leaks", "--merge-labels"], set())):
        assert program.main(["data", "check", str(path), "--json", *options]) == 0
        found = {f["code"] for f in json.loads(capsys.readouterr().out)["findings"]}
        assert found & {"leakage", "label-spelling"} == left
    program.main(["data", "check", str(path)])
    assert "--fix-leaks" in capsys.readouterr().out


def test_left_out_pictures_are_listed_by_name(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import zipfile

    path = picture_zip(tmp_path / "p.zip")
    with zipfile.ZipFile(path, "a") as bundle:
        bundle.writestr("my set/bar/cut.jpg", b"\xff\xd8\xff cut")
    assert program.main(["data", "check", str(path)]) == 0
    said = capsys.readouterr().out
    assert "37 rows read = 36 kept + 1 left out" in said and "(my set/bar/cut.jpg)" in said
    assert "the folder that each file lies in" in said


def test_a_model_of_another_task_is_refused_before_training(tiny_facts: ModelFacts, settings: Any) -> None:
    from core.cli import compare
    from core.errors import RecipeError
    from tests.conftest import write_picture_dataset

    with pytest.raises(RecipeError, match="cannot learn from shapes") as caught:
        compare.check_task(write_picture_dataset(settings, n_rows=9), tiny_facts)
    assert "image-classification" in caught.value.why and "efficientnet-lite0" in caught.value.remedy
