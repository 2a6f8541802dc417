"""`core predict` on the very files that were imported gives the predictions that the run recorded, row by row."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from core import __main__ as program
from core.data import ingest, library, roles, tables
from core.data.check import Options
from core.domain.dataset import Dataset, Role
from core.domain.recipe import Recipe
from core.settings import Settings
from core.training.execute import execute
from tests import tiny
from tests.conftest import WORKSPACE, Notes

Command = Callable[..., dict[str, Any]]


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.setenv("THAW_HOME", str(settings.home))
    monkeypatch.setenv("THAW_HUB", "0")

    def run(*args: str, status: int = 0) -> dict[str, Any]:
        assert program.main([*args, "--workspace", WORKSPACE, "--json"]) == status
        return dict(json.loads(capsys.readouterr().out))

    return run


def train(path: Path, model: Path, settings: Settings, folder: Path, *, chosen: dict[str, Role] | None = None,
          precision: str = "fp32", method: str = "probe",
          options: Options | None = None) -> tuple[Dataset, dict[int, list[float]]]:
    """Import, train a little, and (dataset, row id -> recorded probabilities)."""
    table = tables.read(path, settings=settings)
    found = chosen or {name: p.role for name, p in roles.choose(table).items()}
    made, _ = ingest.ingest(table, roles=found, name=path.stem, settings=settings, workspace=WORKSPACE, options=options)
    recipe = Recipe(dataset=made.id, base_model=str(model), method=method, task=made.task, precision=precision,
                    epochs=1.0, batch_size=8, max_length=32 if table.pictures is None else 0)
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=Notes())
    recorded = pq.read_table(folder / "predictions-test.parquet").to_pylist()
    assert recorded
    return made, {row["row_id"]: row["probabilities"] for row in recorded}


def picture(kind: str, seed: int) -> tuple[bytes, str]:
    """(bytes, ending) of one of three shapes: 12 bits of grey in a 16-bit PNG, or a photo larger than what is kept of
    it."""
    drawn: Any = tiny.make_picture(sorted(tiny.SHAPES)[seed % 3], seed=seed)
    out = io.BytesIO()
    if kind == "twelve bits":
        Image.fromarray(np.asarray(drawn.convert("L")).astype(np.uint16) * 15).save(out, "PNG")
        return out.getvalue(), "png"
    exif = Image.Exif()
    exif[0x0112] = 6
    drawn.resize((700, 500)).save(out, "JPEG", quality=80, exif=exif)
    return out.getvalue(), "jpg"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("kind", "precision"), [("twelve bits", "fp32"), ("photo", "bf16")])
def test_pictures(kind: str, precision: str, settings: Settings, tmp_path: Path, command: Command) -> None:
    path, loose = tmp_path / "shapes.zip", tmp_path / "loose"
    loose.mkdir()
    with zipfile.ZipFile(path, "w") as bundle:
        for i in range(30):
            data, ending = picture(kind, i)
            bundle.writestr(f"{sorted(tiny.SHAPES)[i % 3]}/{i}.{ending}", data)
            (loose / f"{i}.{ending}").write_bytes(data)
    made, recorded = train(path, tiny.vit(tmp_path / "vit"), settings, tmp_path / "run", precision=precision)
    rows = library.read_rows(made, settings=settings, workspace=WORKSPACE).to_pylist()
    names = {row["row_id"]: row["file"] for row in rows}
    atol = (1e-5 if precision == "fp32" else 2e-2)  # a probe is recorded from cached features, predicted by the network
    whole = command("predict", str(tmp_path / "run"), "--input", str(path))
    assert whole["rows_read"] == 30 == len(whole["predictions"]) and whole["left_out"] == []
    assert [answer["row"] for answer in whole["predictions"]] == list(range(1, 31))
    found = {answer["file"]: list(answer["probabilities"].values()) for answer in whole["predictions"]}
    for row_id, probabilities in recorded.items():
        np.testing.assert_allclose(found[names[row_id]], probabilities, atol=atol)
    single = next(iter(loose.iterdir()))
    alone = command("predict", str(tmp_path / "run"), "--input", str(single))["predictions"]
    folder = {answer["file"]: answer for answer in command("predict", str(tmp_path / "run"), "--input",
                                                           str(loose))["predictions"]}
    assert [answer["file"] for answer in alone] == [single.name] and len(folder) == 30
    np.testing.assert_allclose(list(alone[0]["probabilities"].values()),
                               list(folder[single.name]["probabilities"].values()), atol=atol)
    inside = next(name for name in found if name.endswith(f"/{single.name}"))
    np.testing.assert_allclose(list(alone[0]["probabilities"].values()), found[inside], atol=atol)
    base = command("predict", str(tmp_path / "run"), "--input", str(path), "--base")
    assert base["side"] == "base" and len(base["predictions"]) == 30
    assert ("looks at pictures" in command("predict", str(tmp_path / "run"), "--input", "a text",
                                           status=1)["error"]["what"])


@pytest.mark.timeout(300)
def test_a_table_with_joined_columns(settings: Settings, tmp_path: Path, command: Command) -> None:
    texts, labels = tiny.make_texts(60)
    path, moved = tmp_path / "train.csv", tmp_path / "moved.csv"
    path.write_text("n,title,body,label\n" + "".join(f"{i},{t.partition(' ')[0]},{t.partition(' ')[2]},{label}\n"
                                                     for i, (t, label) in enumerate(zip(texts, labels, strict=True))))
    moved.write_text("Body,remark,n,title\n"
                     + "".join(f"{t.partition(' ')[2]},{'a long remark ' * 20},{i},{t.partition(' ')[0]}\n"
                               for i, t in enumerate(texts)) + ",nothing,60,x\n")
    chosen = {"n": Role.ID, "title": Role.SECOND_TEXT, "body": Role.TEXT, "label": Role.LABEL}
    _, recorded = train(path, tiny.bert(tmp_path / "bert"), settings, tmp_path / "run", chosen=chosen, method="full",
                        options=Options(template="{title} : {body}"))
    report = command("predict", str(tmp_path / "run"), "--input", str(moved))
    assert report["rows_read"] == 61 == len(report["predictions"]) + len(report["left_out"])
    by_row = {answer["row"]: answer for answer in report["predictions"]}
    for row_id, probabilities in recorded.items():
        assert by_row[row_id]["id"] == str(row_id - 1)
        np.testing.assert_allclose(list(by_row[row_id]["probabilities"].values()), probabilities, atol=2e-5)
    assert any("'Body'" in note for note in report["notes"])
    refused = command("predict", str(tmp_path / "run"), "--input",
                      str(write(tmp_path / "other.csv", "title,content\na,b\n")), status=1)
    assert "Expected: 'title', 'body'" in refused["error"]["why"] and "'content'" in refused["error"]["why"]
    (tmp_path / "run" / "artifact" / "source.json").unlink()  # a run of an earlier version: its dataset still knows
    again = command("predict", str(tmp_path / "run"), "--input", str(moved))
    assert again["predictions"] == report["predictions"]


def write(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


@pytest.mark.timeout(300)
def test_several_models_beside_each_other(settings: Settings, tmp_path: Path, command: Command,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    texts, labels = tiny.make_texts(60)
    path = tmp_path / "train.csv"
    path.write_text("text,label\n" + "".join(f"{t},{label}\n" for t, label in zip(texts, labels, strict=True)))
    train(path, tiny.bert(tmp_path / "bert"), settings, tmp_path / "run", method="lora")
    run = str(tmp_path / "run")
    found = command("predict", f"{run}:base", run, f"{run}:4bit", f"{run}:tuned", "--input", texts[0])
    assert [side["side"] for side in found["sides"]] == ["base", "tuned", "4bit", "tuned"]
    assert found["same_to_the_last_bit"] == [[1, 3]]
    assert {file["name"].rpartition("/")[2] for file in found["sides"][1]["files"]} >= {"head.safetensors"}
    alone = command("predict", run, "--input", texts[0])
    assert alone["predictions"] == found["sides"][1]["predictions"] and alone["side"] == "tuned"
    assert command("predict", f"{run}:base", "--input", texts[0])["side"] == "base"
    table = command("predict", f"{run}:base", run, "--input", str(path))
    assert [len(side["predictions"]) for side in table["sides"]] == [60, 60]
    wrong = command("predict", run, f"{run}:tonic", "--input", "x", status=1)["error"]
    assert "not the folder of a run" in wrong["what"]
    assert program.main(["predict", f"{run}:base", run, run, "--input", texts[0], "--workspace", WORKSPACE]) == 0
    said = capsys.readouterr().out
    assert "run, base" in said and "The same to the last bit: run tuned, run tuned" in said
