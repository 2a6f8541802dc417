"""Folders that are no base model are refused by what they are, without torch, and the remedies that the refusals name
work."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import ModelError
from core.models import facts as facts_module
from core.models import folder as folder_module
from core.models.inspect import inspect_model
from core.settings import Settings
from tests import families, tiny


def truncate(path: Path, keep: float) -> None:
    path.write_bytes(path.read_bytes()[:int(path.stat().st_size * keep)])


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text, encoding="utf-8")


def rename(name: str, other: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).rename(folder / other)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "adapter": (write("adapter_config.json", json.dumps({"base_model_name_or_path": "owner/base"})),
                "it belongs to 'owner/base'"),
    "not json": (write("config.json", "{not json"), "config.json is not JSON"),
    "a list": (write("config.json", "[]"), "holds a list"),
    "empty config": (write("config.json", ""), "config.json is not JSON"),
    "gguf": (rename("model.safetensors", "model-q4.gguf"), "GGUF"),
    "tensorflow": (rename("model.safetensors", "tf_model.h5"), "TensorFlow"),
    "onnx": (rename("model.safetensors", "model.onnx"), "ONNX"),
    "other name": (rename("model.safetensors", "weights.safetensors"), "There is weights.safetensors, but neither"),
    "nothing": (lambda folder: (folder / "model.safetensors").unlink(), "has no weights"),
    "cut": (lambda folder: truncate(folder / "model.safetensors", 0.5), "its list of tensors needs"),
    "cut in the header": (lambda folder: truncate(folder / "model.safetensors", 0.0005), "is damaged"),
    "empty": (lambda folder: truncate(folder / "model.safetensors", 0), "is damaged"),
    "a page": (write("model.safetensors", "<!doctype html><html><body>404</body></html>"),
               "does not begin as a safetensors file does"),
    "a pointer": (write("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
                  "git lfs pull"),
    "awq": (lambda folder: families._edit(folder, quantization_config={"quant_method": "awq"}),
            "stored quantised (awq)"),
    "bitsandbytes": (lambda folder: families._edit(folder, quantization_config={"quant_method": "bitsandbytes",
                                                                                "load_in_4bit": True}),
                     "stored quantised (bitsandbytes)"),
    "index without weights": (lambda folder: index(folder, {"a": "model-1.safetensors"}), "1 of 1 files"),
    "index that leads out": (lambda folder: index(folder, {"a": "../model.safetensors"}),
                             "no safetensors file of this folder"),
    "index that says nothing": (lambda folder: index(folder, {}), "does not say which file"),
}


def index(folder: Path, weight_map: dict[str, str]) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")


@pytest.mark.parametrize("change", CHANGES)
def test_a_folder_is_refused_by_what_it_is(change: str, tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path / "model", layers=2)
    folder_module.check(folder)
    make, words = CHANGES[change]
    make(folder)
    with pytest.raises(ModelError) as caught:
        folder_module.check(folder)
    assert words in str(caught.value)
    assert caught.value.why
    assert caught.value.remedy


@pytest.mark.parametrize(("files", "words"), [
    (("adapter_config.json", "adapter_model.safetensors"), "holds an adapter"),
    (("model-Q4_K_M.gguf",), "GGUF"),
    (("model_index.json",), "a pipeline of several models"),
    (("pytorch_model.bin",), "no config.json; pytorch_model.bin is"),
    ((), "no config.json."),
])
def test_a_folder_without_a_configuration_is_refused_by_what_it_is(files: tuple[str, ...], words: str,
                                                                   tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        folder_module.check(tmp_path)
    assert words in str(caught.value)


def test_looking_at_a_folder_needs_no_torch() -> None:
    code = "import sys; import core.models.folder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", hub=False)


def refused(folder: Path, settings: Settings) -> ModelError:
    with pytest.raises(ModelError) as caught:
        inspect_model(str(folder), settings=settings)
    return caught.value


def test_saving_as_safetensors_as_told_makes_the_folder_usable(tmp_path: Path, settings: Settings) -> None:
    folder = families.make("binonly", tmp_path / "model")
    told = refused(folder,
                   settings).remedy.removeprefix("Save it as safetensors, in Python: ").split(". Do this only")[0]
    exec(told, {})  # noqa: S102 - the words of our own refusal
    assert inspect_model(str(folder), settings=settings).architecture == "BertModel"


def test_saving_the_encoder_as_told_makes_the_folder_usable(tmp_path: Path, settings: Settings) -> None:
    folder = families.make("t5", tmp_path / "model")
    told = refused(folder,
                   settings).remedy.removeprefix("Save its encoder: ").split(", with the tokenizer beside it")[0]
    exec(told.replace("new_folder", repr(str(tmp_path / "encoder"))), {})  # noqa: S102 - the words of our own refusal
    families.tokenizer().save_pretrained(tmp_path / "encoder")
    assert inspect_model(str(tmp_path / "encoder"), settings=settings).architecture == "T5EncoderModel"


def test_giving_new_tokens_rows_as_told_makes_the_folder_usable(tmp_path: Path, settings: Settings) -> None:
    from transformers import AutoModel, AutoTokenizer

    folder = families.make("biggertokenizer", tmp_path / "model")
    assert "model.resize_token_embeddings(len(tokenizer))" in refused(folder, settings).remedy
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    assert inspect_model(str(folder), settings=settings).blocks[0].parameters > 0


def test_saving_the_tokenizer_and_the_processor_as_told_makes_the_folder_usable(tmp_path: Path,
                                                                                settings: Settings) -> None:
    from transformers import AutoImageProcessor, AutoTokenizer

    folder = families.make("notokenizer", tmp_path / "model")
    assert "save_pretrained(folder)" in refused(folder, settings).remedy
    families.tokenizer().save_pretrained(tmp_path / "source")
    AutoTokenizer.from_pretrained(tmp_path / "source").save_pretrained(folder)
    assert inspect_model(str(folder), settings=settings).max_length == 130

    folder = families.make("noprocessor", tmp_path / "pictures")
    assert "AutoImageProcessor" in refused(folder, settings).remedy
    AutoImageProcessor.from_pretrained(families.make("vitclassifier", tmp_path / "other")).save_pretrained(folder)
    assert inspect_model(str(folder), settings=settings).image_size == 32


def test_merging_an_adapter_as_told_makes_a_base_model(tmp_path: Path, settings: Settings) -> None:
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModel

    base, adapter, merged = tiny.bert(tmp_path / "base", layers=2), tmp_path / "adapter", tmp_path / "merged"
    get_peft_model(AutoModel.from_pretrained(base), LoraConfig(target_modules=["query"])).save_pretrained(adapter)
    assert ("PeftModel.from_pretrained(base, adapter).merge_and_unload().save_pretrained(new_folder)"
            in refused(adapter, settings).remedy)
    PeftModel.from_pretrained(AutoModel.from_pretrained(base), adapter).merge_and_unload().save_pretrained(merged)
    tiny.tokenizer().save_pretrained(merged)  # type: ignore[attr-defined]
    assert inspect_model(str(merged), settings=settings).architecture == "BertModel"


def test_facts_of_a_version_that_tried_nothing_still_show_and_are_made_anew_by_a_run(tmp_path: Path,
                                                                                     settings: Settings) -> None:
    from core.models import facts, methods

    folder = families.make("mamba", tmp_path / "model")
    inspect_model(str(folder), settings=settings)
    path = facts.facts_path(str(folder), settings)
    old = json.loads(path.read_text(encoding="utf-8"))
    del old["refusals"], old["fixed_width"], old["bf16_fails"]
    path.write_text(json.dumps(old), encoding="utf-8")
    shown = facts.read(str(folder), settings)
    assert shown is not None
    assert shown.refusals is None
    assert methods.get("lora").applies_to(shown) is None
    assert "incompatible" in str(methods.get("lora").applies_to(inspect_model(str(folder), settings=settings)))


def test_fetching_a_listed_folder_says_what_it_holds(settings: Settings) -> None:
    from core.models import fetch

    folder = settings.home / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}", encoding="utf-8")
    facts_module.check_named_by_visitor(str(folder), settings)
    with pytest.raises(ModelError, match="holds an adapter"):
        fetch.ensure_model(str(folder), settings=settings, progress=lambda done, total: None)
