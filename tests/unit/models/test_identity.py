"""A base model is the content of its weights, tokenizer and configuration: what changes is noticed, what does not is
not read again."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from core import checksums
from core.models import facts
from core.models.identity import Identity, files_of
from core.models.inspect import inspect_model
from core.settings import Settings
from tests import tiny


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def revision(folder: Path, tmp_path: Path) -> str:
    return Identity(folder, notes=tmp_path / "notes.json").revision


def change_json(path: Path) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**data, "changed": True}), encoding="utf-8")


def change_weight(path: Path) -> None:
    tensors = load_file(path)
    next(iter(tensors.values())).flatten()[0] += 1
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_change_of_weights_tokenizer_or_configuration_is_another_revision(name: str, model: Path,
                                                                            tmp_path: Path) -> None:
    before = revision(model, tmp_path)
    assert before.startswith("content:") and revision(model, tmp_path) == before
    kept = (model / name).read_bytes()
    change_weight(model / name) if name.endswith("safetensors") else change_json(model / name)
    assert revision(model, tmp_path) != before
    (model / name).write_bytes(kept)
    assert revision(model, tmp_path) == before


@pytest.mark.parametrize("name",
                         ["vocab.txt", "merges.txt", "spiece.model", "added_tokens.json", "special_tokens_map.json",
                          "preprocessor_config.json", "chat_template.jinja", "1_Pooling/config.json"])
def test_files_that_a_tokenizer_or_processor_reads_count(name: str, model: Path, tmp_path: Path) -> None:
    before = revision(model, tmp_path)
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).write_text("{}", encoding="utf-8")
    added = revision(model, tmp_path)
    (model / name).write_text("{ }", encoding="utf-8")
    assert len({before, added, revision(model, tmp_path)}) == 3


@pytest.mark.parametrize("name", ["README.md", "LICENSE.txt", "facts.json", "source.json", "identity.json",
                                  "trainer_state.json", "training_args.bin", "optimizer.pt"])
def test_files_that_decide_nothing_do_not_count(name: str, model: Path, tmp_path: Path) -> None:
    before = revision(model, tmp_path)
    (model / name).write_text("{}", encoding="utf-8")
    assert revision(model, tmp_path) == before and name not in files_of(model)


def test_only_what_changed_is_read_again(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksums, "SETTLED_NS", 0)
    read: list[str] = []
    plain = checksums.sha256
    monkeypatch.setattr(checksums, "sha256", lambda path: (read.append(path.name), plain(path))[1])
    revision(model, tmp_path)
    assert sorted(read) == files_of(model)
    read.clear()
    revision(model, tmp_path)
    assert read == []
    os.utime(model / "config.json")
    revision(model, tmp_path)
    assert read == ["config.json"]


def test_a_change_of_equal_size_with_its_time_set_back_is_noticed(model: Path, tmp_path: Path) -> None:
    before, path = revision(model, tmp_path), model / "tokenizer.json"
    stat, text = path.stat(), path.read_text(encoding="utf-8")
    path.write_text(text.replace("goal", "coal"), encoding="utf-8")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size and revision(model, tmp_path) != before


def test_a_copy_elsewhere_is_the_same_revision(model: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "elsewhere"))
    assert Identity(copy, notes=tmp_path / "other.json").revision == revision(model, tmp_path)


def test_facts_follow_the_files(model: Path, settings: Settings) -> None:
    first = inspect_model(str(model), settings=settings)
    assert facts.read(str(model), settings) == first
    shutil.copytree(tiny.bert(model.parent / "other", seed=3, layers=2), model, dirs_exist_ok=True)
    assert facts.read(str(model), settings) is None, "they were measured on other files"
    second = inspect_model(str(model), settings=settings)
    assert len(second.blocks) == 3 and second.revision != first.revision and facts.read(str(model), settings) == second


def test_facts_of_an_earlier_version_open_while_the_weights_are_the_same(model: Path, settings: Settings) -> None:
    now = inspect_model(str(model), settings=settings)
    with (model / "model.safetensors").open("rb") as file:
        import hashlib

        weights = hashlib.sha256(file.read()).hexdigest()
    path = facts.facts_path(str(model), settings)
    old = json.loads(path.read_text(encoding="utf-8")) | {"revision": f"sha256:{weights[:16]}"}
    path.write_text(json.dumps(old), encoding="utf-8")
    opened = facts.read(str(model), settings)
    assert opened is not None and opened.revision == now.revision and opened.blocks == now.blocks
    change_weight(model / "model.safetensors")
    assert facts.read(str(model), settings) is None


def test_facts_of_a_folder_that_is_gone_are_still_shown(model: Path, settings: Settings) -> None:
    known = inspect_model(str(model), settings=settings)
    shutil.rmtree(model)
    assert facts.read(str(model), settings) == known


def test_a_facts_file_that_cannot_be_read_is_as_if_it_were_missing(model: Path, settings: Settings) -> None:
    known = inspect_model(str(model), settings=settings)
    path = facts.facts_path(str(model), settings)
    path.write_text("{", encoding="utf-8")
    assert facts.read(str(model), settings) == known, "the copy of this revision serves"
    for broken in path.parent.glob("facts*.json"):
        broken.write_text("{", encoding="utf-8")
    assert facts.read(str(model), settings) is None
    assert dataclasses.is_dataclass(inspect_model(str(model), settings=settings))
