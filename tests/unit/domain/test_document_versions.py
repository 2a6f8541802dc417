"""Stored documents: old ones are brought forward, newer ones are named as such, in three parts, and never taken as
missing or damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import checksums, values
from core.analysis import damage
from core.analysis.feature_files import weight_changes
from core.data import ingest, library
from core.data.report import ImportReport
from core.domain import codec, document_versions
from core.domain.dataset import Dataset, Task
from core.domain.recipe import Recipe
from core.domain.run import Labels, Result
from core.errors import DataError, NewerVersionError
from core.models import facts, origin
from core.models.origin import Origin
from core.settings import Settings

RECIPE = Recipe(dataset="d", base_model="m", method="qlora", label_budget=9)
DATASET = Dataset(id="0" * 16, name="d", task=Task.TEXT_CLASSIFICATION, content_hash="0" * 64, classes=("a", "b"),
                  counts={}, source="")


def write(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def test_a_document_of_an_older_version_gets_the_meaning_of_its_time() -> None:
    old = {name: value for name, value in RECIPE.to_json().items() if name
           not in ("optimizer", "budget_counts", "schema_version")}
    assert Recipe.from_json(old) == replace(RECIPE, optimizer="auto", budget_counts="training")
    assert Recipe.from_json(RECIPE.to_json()) == RECIPE, "a present one stays as it is"
    assert (document_versions.forward({"a": 1}, now=3, what="x", upgrade=lambda data: {"b": 2, **data})
            == {"a": 1, "b": 2, "schema_version": 3})


@pytest.mark.parametrize("version", ["2", 1.5, None, 0, True])
def test_a_version_that_is_no_number_is_damage(version: Any) -> None:
    with pytest.raises(ValueError, match="not the number of a version"):
        codec.read(Labels, {"classes": [], "schema_version": version})


@pytest.mark.parametrize(("kind", "words"),
                         [(Recipe, "recipe"), (Result, "result"), (Dataset, "dataset"), (Labels, "labels"),
                          (ImportReport, "import report"), (Origin, "origin")])
def test_a_newer_document_is_named_in_three_parts(kind: Any, words: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.json", {"schema_version": kind.schema_version + 1})
    with pytest.raises(NewerVersionError) as caught:
        values.read(path, kind)
    assert f"The {words} file was written by a newer version" in caught.value.what
    assert f"{kind.schema_version + 1}" in caught.value.why and "Update Thaw" in caught.value.remedy


def test_every_reader_names_a_newer_file(settings: Settings, tmp_path: Path) -> None:
    run = tmp_path / "run"
    newer = {"schema_version": 9}
    for name in ("recipe.json", "result.json", "artifact/labels.json", "environment.json", "origin.json",
                 "features/weights.json"):
        write(run / name, newer)
    found = damage.of_run(run)
    assert set(found) == {"recipe.json", "result.json", "artifact/labels.json", "environment.json"}
    assert all("newer version of Thaw" in why for why in found.values())
    home = settings.workspace("w") / "datasets" / DATASET.id
    write(home / ingest.DATASET, newer)
    write(home / ingest.REPORT, newer)
    seal = write(home / "seal.json", {**newer, "files": {}})
    model = facts.facts_path("minilm", settings)
    write(model, newer)
    for read in (lambda: origin.of(run), lambda: weight_changes(run), lambda: ingest.read_dataset(home),
                 lambda: checksums.read(seal), lambda: library.read_report(DATASET, settings=settings, workspace="w"),
                 lambda: facts.read("minilm", settings)):
        with pytest.raises(NewerVersionError):
            read()
    assert issubclass(NewerVersionError, DataError)
    assert "newer version of Thaw" in library.damaged(settings=settings, workspace="w")[DATASET.id]
