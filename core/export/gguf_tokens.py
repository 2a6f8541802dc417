"""The tokenizer of a GGUF file: tokens, merges, how words are split, special tokens, chat template."""

from __future__ import annotations

import json
from typing import Any

from core.errors import ThawError

QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
         r"|\s+(?!\S)|\s+")
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
SPLITS: dict[tuple[Any, ...], str] = {
    ("bytes",): "gpt-2",
    ("digits", "bytes"): "smollm",
    (LLAMA3, "raw bytes", "whole words first"): "llama-bpe",
    (QWEN2, "raw bytes"): "qwen2",
}
"""How a byte-level tokenizer splits words -> what llama.cpp calls it (`src/llama-vocab.cpp` there)."""
PLAIN = (
    "{%- for message in messages -%}"
    "{{ 'System' if message['role'] == 'system' else 'User' if message['role'] == 'user' else 'Assistant' }}: "
    "{{ message['content'] | trim }}{% if message['role'] == 'assistant' %}END{% endif %}{{ '\\n\\n' }}"
    "{%- endfor -%}{%- if add_generation_prompt -%}Assistant:{%- endif -%}")
"""The plain format of a base model as a template; see `core.tasks.formats`."""
OWN = "Its chat template is in it."
GIVEN = ("The base model has no chat template: the plain format in which it was trained (“User: …”, “Assistant: …”) is "
         "in it as one.")


def add(writer: Any, tokenizer: Any, format: Any, ends: list[int], *, vocabulary: int) -> str:
    """Write it; returns a sentence on the template.

    format: how the run wrote conversations. ends: ids that end an answer. vocabulary: rows of the embedding, of which
    a tokenizer may name fewer. Raises ThawError for a tokenizer that llama.cpp has no name for.
    """
    from gguf import TokenType

    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split_of(spec))
    known = {id: token for token, id in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    writer.add_token_list([known.get(id, f"[PAD{id}]") for id in range(vocabulary)])
    writer.add_token_types([
        TokenType.UNUSED if id not in known else TokenType.NORMAL if id not in added
        else TokenType.CONTROL if added[id].special else TokenType.USER_DEFINED for id in range(vocabulary)])
    writer.add_token_merges([" ".join(pair) if isinstance(pair, list) else pair for pair in spec["model"]["merges"]])
    _add_special(writer, tokenizer, ends)
    if not format.plain:
        writer.add_chat_template(str(tokenizer.chat_template))
        return OWN
    writer.add_chat_template(PLAIN.replace("END", str(tokenizer.eos_token or "")))
    return GIVEN


def _add_special(writer: Any, tokenizer: Any, ends: list[int]) -> None:
    """Ids of special tokens, and which of them are put round a text, as the tokenizer does it."""
    probe = list(tokenizer("a")["input_ids"])
    bare = list(tokenizer("a", add_special_tokens=False)["input_ids"])
    start, eos, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
    if start is not None:
        writer.add_bos_token_id(start)
    if tokenizer.unk_token_id is not None:
        writer.add_unk_token_id(tokenizer.unk_token_id)
    if pad is not None:
        writer.add_pad_token_id(pad)
    stop = eos if eos is not None else next(iter(ends), None)
    if stop is not None:
        writer.add_eos_token_id(stop)
    if turn := next((id for id in ends if id != stop), None):
        writer.add_eot_token_id(turn)
    writer.add_add_bos_token(probe != bare and probe[:1] == [start])
    writer.add_add_eos_token(probe != bare and probe[-1:] == [eos])


def split_of(spec: dict[str, Any]) -> str:
    """What llama.cpp calls the way in which a tokenizer (`tokenizer.json`) splits words.

    Raises ThawError for one that is no byte-level BPE, changes texts before, or splits them in a way without a name.
    """
    model = spec["model"]
    normal = spec.get("normalizer")
    parts = _parts(spec.get("pre_tokenizer") or {}) + ["whole words first"] * bool(model.get("ignore_merges"))
    name = SPLITS.get(tuple(parts))
    if model.get("type") != "BPE" or model.get("byte_fallback") or name is None or (
            normal is not None and normal.get("type") != "NFC"):
        raise ThawError("This model's tokenizer cannot be written into a GGUF file.",
                        why="llama.cpp knows each way of splitting words by a name, and Thaw knows those of "
                            f"byte-level tokenizers like GPT-2's, SmolLM's, Llama 3's and Qwen's; this one is "
                            f"{model.get('type')} on {', '.join(map(str, parts)) or 'nothing'}.",
                        remedy="Export it as merged, and convert that folder with llama.cpp's own converter.")
    return name


def _parts(pre: dict[str, Any]) -> list[str]:
    """The steps of a pre-tokenizer, in words or as its pattern."""
    kind = pre.get("type")
    if kind == "Sequence":
        return [part for inner in pre["pretokenizers"] for part in _parts(inner)]
    if kind == "ByteLevel":
        prefix = " behind a blank" if pre.get("add_prefix_space") else ""
        return [("bytes" if pre.get("use_regex", True) else "raw bytes") + prefix]
    if kind == "Digits":
        return ["digits" if pre.get("individual_digits") else "numbers"]
    if kind == "Split" and pre.get("behavior") == "Isolated" and not pre.get("invert"):
        return [str(pre["pattern"].get("Regex"))]
    return [str(kind)] if kind else []
