"""The GGUF export: what llama.cpp reads is what the run was, and planted faults are found."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFWriter
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from core.data.conversations import Turn
from core.domain.dataset import Task
from core.errors import ThawError
from core.export import FORMATS, certificate, gguf, gguf_tokens, words
from core.export.finished import Finished
from core.tasks import teaching
from tests import chat_templates, tiny

Trained = Callable[..., Finished]
GGUF = FORMATS["gguf"]
pytestmark = [pytest.mark.timeout(300)]


def as_torch_would(values: np.ndarray, heads: int) -> np.ndarray:
    """The published order (convert_hf_to_gguf.py, `permute`), written out row by row."""
    width = values.shape[0] // heads
    order = [head * width + half * width // 2 + pair for head in range(heads) for pair in range(width // 2)
             for half in range(2)]
    return values[order]


@pytest.mark.parametrize("heads", [1, 2, 6])
def test_the_rows_of_queries_are_put_in_pairs(heads: int) -> None:
    values = np.random.default_rng(0).standard_normal((heads * 8, 5)).astype(np.float32)
    assert np.array_equal(gguf.interleaved(values, heads), as_torch_would(values, heads))


def look_closely(folder: Path) -> None:
    """Larger queries and keys: at random ones, attention is the same everywhere, and their order tells nothing."""
    tensors = load_file(folder / "model.safetensors")
    for name in tensors:
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            tensors[name] = 12 * tensors[name]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def make(trained: Trained, family: str, template: str = "smollm2", method: str = "lora", **changes: Any) -> Finished:
    with pytest.MonkeyPatch.context() as patch:
        plain = tiny.language

        def talker(name: str, folder: Path, **more: Any) -> Path:
            wide = {"head_dim": 128} if name.startswith("qwen3") else {}  # the reader in transformers takes no other
            plain(name.partition("-")[0], folder, vocab_size=512, max_position_embeddings=512, **wide, **more)
            look_closely(folder)
            chat_templates.tokenizer(template).save_pretrained(folder)
            return folder

        patch.setattr(tiny, "language", talker)
        return trained("language", f"{family}-{template}", method, max_length=128, **changes)


def written(run: Finished, folder: Path) -> Path:
    folder.mkdir()
    GGUF.write(run, folder)
    return folder


@pytest.mark.parametrize(("family", "template", "method"), [
    ("llama", "smollm2", "lora"),
    *[pytest.param(*case, marks=pytest.mark.slow) for case in (
        ("qwen2", "qwen3", "full"), ("qwen3", "base", "partial"), ("llama", "llama3", "qlora"))]])
def test_llama_cpp_reads_it_as_the_run_was(family: str, template: str, method: str, trained: Trained,
                                           tmp_path: Path) -> None:
    run = make(trained, family, template, method)
    found = certificate.write(GGUF, written(run, tmp_path / "out"), run)
    assert found["passed"], found["reasons"]
    assert found["runtime"]["rows"] == found["rows"] == 8 and found["runtime"]["largest_difference"] < 0.05
    assert found["read_otherwise"] == 0 and found["in_32_bits"]["largest_difference"] < 0.005
    assert {"gguf", "xllamacpp", "transformers"} <= set(found["versions"])
    assert any("llama.cpp itself reads all of them" in line for line in words.said(found))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.md", "certificate.json", "model.gguf", "recipe.json", "requirements.txt"]


def test_planted_faults_are_found(trained: Trained, tmp_path: Path) -> None:
    run, merged = make(trained, "llama"), GGUFWriter.add_token_merges
    faults: dict[str, tuple[Any, str, Any]] = {
        "order of rows": (gguf, "interleaved", lambda values, heads: values),
        "another start": (gguf_tokens, "_add_special", lambda writer, tokenizer, ends: (
            writer.add_bos_token_id(0), writer.add_add_bos_token(True))),
        "another template": (gguf_tokens, "OWN", ""),
        "other merges": (GGUFWriter, "add_token_merges", lambda writer, merges: merged(writer, merges[::-1])),
    }
    planted = []
    for name, (module, attribute, fault) in faults.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, attribute, fault)
            if name == "another template":
                patch.setattr(run.whole.task.processor, "chat_template", chat_templates.QWEN3)
                patch.setattr(teaching, "format_of", lambda tokenizer: teaching.Format(
                    tokenizer=tokenizer, name="", plain=True, notes=()))
            planted.append((GGUF, written(run, tmp_path / name)))
    for name, found in zip(faults, certificate.of_all(planted, run), strict=True):
        assert found["passed"] is False, (name, found)


def spec(**changes: Any) -> dict[str, Any]:
    said = json.loads(chat_templates.tokenizer("smollm2").backend_tokenizer.to_str())
    return {**said, **changes}


def test_ways_of_splitting_words_have_names() -> None:
    from tokenizers import Regex, pre_tokenizers

    def of(pre: Any, **model: Any) -> str:
        tokenizer = chat_templates.tokenizer("base").backend_tokenizer
        tokenizer.pre_tokenizer = pre
        said = json.loads(tokenizer.to_str())
        return gguf_tokens.split_of({**said, "model": {**said["model"], **model}})

    raw = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    assert gguf_tokens.split_of(spec()) == "gpt-2"
    assert of(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                       pre_tokenizers.ByteLevel(add_prefix_space=False)])) == "smollm"
    for pattern, name, whole in ((gguf_tokens.QWEN2, "qwen2", False), (gguf_tokens.LLAMA3, "llama-bpe", True)):
        split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
        assert of(pre_tokenizers.Sequence([split, raw]), ignore_merges=whole) == name
        with pytest.raises(ThawError, match="tokenizer cannot be written"):
            of(pre_tokenizers.Sequence([split, raw]), ignore_merges=not whole)
    for other in (pre_tokenizers.ByteLevel(add_prefix_space=True), pre_tokenizers.Whitespace(), raw):
        with pytest.raises(ThawError, match="tokenizer cannot be written"):
            of(other)


def test_what_it_cannot_hold_says_why(trained: Trained, tmp_path: Path) -> None:
    run = make(trained, "llama")
    assert GGUF.applies_to(run.recipe, run.facts) is None
    of_texts = replace(run.recipe, task=Task.TEXT_CLASSIFICATION)
    assert "holds language models" in str(GGUF.applies_to(of_texts, run.facts))
    gpt2 = trained("language", "gpt2", "lora")
    assert "this one is GPT2Model" in str(GGUF.applies_to(gpt2.recipe, gpt2.facts))
    words_only = trained("language", "llama", "lora")
    with pytest.raises(ThawError, match="tokenizer cannot be written"):
        written(words_only, tmp_path / "words")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run.whole.network.causal.config, "rope_parameters", {"rope_type": "llama3", "rope_theta": 1e4})
        with pytest.raises(ThawError, match="cannot be written as gguf") as refused:
            written(run, tmp_path / "scaled")
    assert "positions are scaled" in refused.value.why


@pytest.mark.parametrize("family", ["base", "bare"])
def test_the_plain_format_is_the_template_of_a_base_model(family: str, tmp_path: Path) -> None:
    """`PLAIN` writes what the run wrote."""
    tokenizer = chat_templates.tokenizer(family)
    tokenizer.save_pretrained(tmp_path)
    format = teaching.format_of(AutoTokenizer.from_pretrained(tmp_path))
    assert format.plain
    template = gguf_tokens.PLAIN.replace("END", str(tokenizer.eos_token or ""))
    turns = [("system", "Be brief."), ("user", " Where? "), ("assistant", "Here."), ("user", "And then?")]
    said = tokenizer.apply_chat_template([{"role": role, "content": text} for role, text in turns],
                                         chat_template=template, tokenize=False, add_generation_prompt=True)
    assert said == format.prompt([Turn(role, text) for role, text in turns])
