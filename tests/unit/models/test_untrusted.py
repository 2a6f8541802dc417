"""What a base model's id and folder may reach: nothing outside of what the server's owner listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import NotFoundError, RecipeError
from core.models import facts, fetch, untrusted
from core.settings import Settings


def folder(path: Path, **files: Any) -> Path:
    path.mkdir(parents=True)
    for name, content in {"config.json": {"model_type": "bert"}, **files}.items():
        (path / name).write_text(json.dumps(content))
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", model_folders=(tmp_path / "listed",), hub=False)


def test_listed_folders_may_be_named(tmp_path: Path, settings: Settings) -> None:
    for path in (folder(tmp_path / "listed" / "mine"), folder(settings.home / "models" / "mine")):
        facts.check_named_by_visitor(str(path), settings)


def test_every_other_path_gets_one_and_the_same_error(tmp_path: Path, settings: Settings) -> None:
    """Whether something is there, and what, does not show."""
    (tmp_path / "listed").mkdir()
    there = folder(tmp_path / "elsewhere" / "mine")
    (tmp_path / "listed" / "link").symlink_to(there)
    around = str(tmp_path / "listed" / ".." / "elsewhere" / "mine")
    names = [str(there), str(tmp_path / "nothing"), "/etc", "/etc/passwd", "~", "../" * 9 + "etc", around,
             str(tmp_path / "listed" / "link"), str(tmp_path / "listed" / "nothing"), "/a\0b", "/" + "x" * 5000,
             "~nobody/x", "C:\\models"]
    seen = set()
    for name in names:
        with pytest.raises(NotFoundError) as caught:
            facts.check_named_by_visitor(name, settings)
        seen.add((caught.value.what.replace(repr(name[:80]), "X"), caught.value.why, caught.value.remedy))
    assert len(seen) == 1 and "THAW_MODEL_FOLDERS" in seen.pop()[2]


@pytest.mark.parametrize("name", ["..", "a/../b", "a/b/c", "", "a\0b", "x" * 300, "a b", ".hidden"])
def test_what_is_no_hub_id_never_becomes_a_path(name: str, settings: Settings) -> None:
    with pytest.raises(NotFoundError, match="not the id of a base model"):
        facts.check_named_by_visitor(name, settings)


def test_the_facade_asks_before_anything_is_queued(tmp_path: Path, settings: Settings) -> None:
    from core.api import Thaw

    thaw = Thaw(settings)
    ws = thaw.new_workspace()
    there = str(folder(tmp_path / "elsewhere" / "mine"))
    with pytest.raises(NotFoundError, match="may be used here"):
        thaw.models.prepare(ws, model=there)
    assert thaw.runs.all(ws) == []


def test_a_fetched_folder_is_looked_at_before_it_is_loaded(tmp_path: Path, settings: Settings) -> None:
    config = {"model_type": "timm_wrapper", "architecture": "local-dir:/tmp"}
    path = folder(tmp_path / "listed" / "mine", **{"config.json": config})
    with pytest.raises(RecipeError, match="asks for something"):
        fetch.ensure_model(str(path), settings=settings, progress=lambda done, total: None)


@pytest.mark.parametrize("name", ["minilm", "distilbert/distilbert-base-uncased", "openai-community/gpt2",
                                  "timm/vit_tiny.augreg_in21k"])
def test_ids_of_the_hub_and_the_catalogue_pass(name: str, settings: Settings) -> None:
    facts.check_named_by_visitor(name, settings)


@pytest.mark.parametrize("file", ["../../other/model.safetensors", "/etc/passwd", "weights.bin", "pytorch_model.pt",
                                  "a\\b.safetensors", "missing.safetensors", "sub/model.safetensors"])
def test_an_index_names_safetensors_files_of_its_folder_only(tmp_path: Path, file: str) -> None:
    path = folder(tmp_path / "m",
                  **{"model.safetensors.index.json": {"weight_map": {"a": "one.safetensors", "b": file}}})
    (path / "one.safetensors").touch()
    with pytest.raises(RecipeError, match="asks for something") as caught:
        untrusted.check(path)
    assert repr(file) in caught.value.why


def test_a_plain_index_passes(tmp_path: Path) -> None:
    names = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    path = folder(tmp_path / "m",
                  **{"model.safetensors.index.json": {"weight_map": dict(zip("ab", names, strict=True))}})
    for name in names:
        (path / name).touch()
    untrusted.check(path)


@pytest.mark.parametrize(("architecture", "arguments"), [
    ("hf-hub:evil/model", {}), ("local-dir:/tmp/x", {}), ("resnet18", {"checkpoint_path": "/tmp/x.pth"}), (None, {}),
    ("resnet18", ["a"]), ("resnet18", {"pretrained_cfg": {"file": "/tmp/x.pth"}}), ("resnet18", {"cache_dir": "/tmp"}),
    ("resnet18", {"act_layer": "../x y"}), ("resnet18", {"global_pool": {"a": 1}})])
def test_timm_gets_known_arguments_only(tmp_path: Path, architecture: Any, arguments: Any) -> None:
    path = folder(tmp_path / "m", **{"config.json": {"model_type": "timm_wrapper", "architecture": architecture,
                                                     "model_args": arguments}})
    with pytest.raises(RecipeError, match="asks for something"):
        untrusted.check(path)


def test_usual_timm_models_pass(tmp_path: Path) -> None:
    for i, arguments in enumerate((None, {}, {"img_size": 224, "drop_path_rate": 0.1},
                                   {"patch_size": [16, 16], "act_layer": "gelu_tanh"})):
        config = {"model_type": "timm_wrapper", "architecture": "vit_tiny_patch16_224.augreg_in21k",
                  "model_args": arguments}
        untrusted.check(folder(tmp_path / str(i), **{"config.json": config}))


CODE = """
from pathlib import Path
Path({marker!r}).write_text("run")
from transformers import BertConfig, PreTrainedTokenizerFast, ViTImageProcessor
class Config(BertConfig): pass
class Tokenizer(PreTrainedTokenizerFast): pass
class Processor(ViTImageProcessor): pass
"""


def with_code(path: Path, marker: Path, file: str, **named: Any) -> Path:
    """The folder with code of its own, which `file` asks transformers to load."""
    described = json.loads((path / file).read_text())
    (path / file).write_text(json.dumps({**described, "auto_map": named}))
    (path / "own.py").write_text(CODE.format(marker=str(marker)))
    return path


def test_code_in_a_models_folder_never_runs(tmp_path: Path) -> None:
    """Transformers would run it: a configuration, a tokenizer and a processor of the folder's own, each asked for by
    name. What it knows without is loaded."""
    from core.models import architecture, tokens
    from core.models.processors import PictureProcessor
    from tests import tiny

    marker = tmp_path / "marker"
    text = with_code(tiny.bert(tmp_path / "text"), marker, "config.json", AutoConfig="own.Config")
    assert architecture.read(text).config.model_type == "bert"
    text = with_code(tiny.bert(tmp_path / "words"), marker, "tokenizer_config.json",
                     AutoTokenizer=["own.Tokenizer", "own.Tokenizer"])
    assert tokens.load(text).get_vocab()
    picture = with_code(tiny.vit(tmp_path / "picture"), marker, "preprocessor_config.json",
                        AutoImageProcessor="own.Processor")
    assert PictureProcessor(picture).size == (32, 32)
    assert not marker.exists()
