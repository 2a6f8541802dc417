"""The tokenizer of a base model: read from its folder, checked against its embedding, padded with whatever there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import ModelError

SAVE_IT = ("Save the model's own tokenizer into the same folder: "
           "AutoTokenizer.from_pretrained(source).save_pretrained(folder).")
PROBED = 200
"""Entries of a vocabulary that are looked at to see whether the tokenizer can tell texts apart."""
TYPICAL_LENGTH = 512
ABSURD_LENGTH = 10**6
"""Tokenizers without a limit say 1e30."""


def load(folder: Path) -> Any:
    """The tokenizer in a folder.

    Raises ModelError where there is none: transformers then makes an empty one, to which every word is alike.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        empty = not _tells_apart(tokenizer)
    except MemoryError:
        raise
    except Exception as error:
        raise ModelError(f"The base model {folder.name} has no tokenizer that can be read.",
                         why=str(error).strip().split("\n")[0][:200] or type(error).__name__, remedy=SAVE_IT) from error
    if empty:
        raise ModelError(f"The base model {folder.name} has no tokenizer.",
                         why="Its folder holds no vocabulary, so that every text would look the same to the model.",
                         remedy=SAVE_IT)
    return tokenizer


def _tells_apart(tokenizer: Any) -> bool:
    """Whether texts made of entries of its vocabulary (or of letters) become different tokens."""
    texts = [*_words(tokenizer)[:PROBED], *"abcdefghij"]
    return len({tuple(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]}) > 1


def pad_id(tokenizer: Any) -> int:
    """What fills rows up. Any token will do, since the mask hides it: the padding token, else the end of text, else the
    first."""
    for found in (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id):
        if found is not None:
            return int(found)
    return 0


def check_size(tokenizer: Any, rows: int, *, name: str) -> None:
    """Raise ModelError when the tokenizer gives numbers that the model's embedding of `rows` rows does not have."""
    highest = max(tokenizer.get_vocab().values(), default=0)
    if highest >= rows:
        raise ModelError(f"The tokenizer of the base model {name} does not fit its weights.",
                         why=f"The tokenizer gives numbers up to {highest:,}; the embedding has {rows:,} rows (0 to "
                             f"{rows - 1:,}).",
                         remedy="Save the tokenizer that the model was trained with, or give the new tokens rows: "
                                "model.resize_token_embeddings(len(tokenizer)), then save both into one folder.")


def length_limit(tokenizer: Any) -> int:
    """Tokens that the tokenizer says the model reads; 512 where it says nothing."""
    said = tokenizer.model_max_length
    return int(said) if isinstance(said, int) and 0 < said < ABSURD_LENGTH else TYPICAL_LENGTH


def sample_ids(tokenizer: Any, count: int) -> list[int]:
    """`count` token ids of ordinary words, without special tokens."""
    words = [word.lstrip("Ġ▁ ") for word in _words(tokenizer)[-PROBED:]]
    ids = tokenizer(" ".join(words), add_special_tokens=False)["input_ids"] or [pad_id(tokenizer)]
    return (ids * (count // len(ids) + 1))[:count]


def _words(tokenizer: Any) -> list[str]:
    """The first entries of the vocabulary, without special tokens."""
    special = {*tokenizer.all_special_tokens, None}
    return [word for word in tokenizer.convert_ids_to_tokens(list(range(min(10 * PROBED, len(tokenizer))))) if word
            not in special]
