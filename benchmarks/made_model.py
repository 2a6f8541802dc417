"""Language models of published shapes with random weights, and rows of made-up words for them, to measure memory and
speed with where nothing can be fetched: what a step takes does not depend on what the weights are. Their losses and
accuracies mean nothing.

    python benchmarks/made_model.py OUT --shape llama-3.1-8b [--tokenizer FOLDER]
    python benchmarks/run.py --model OUT --data r8.csv --methods qlora,lora --sides tuned,alone

The shapes are those of the models' config.json on the hub. The tokenizer is that of any model's folder, whose
vocabulary must be no larger; without one, a token is a made-up word.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np

SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "tiny": ("LlamaConfig", {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2,
                             "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 2_304,
                             "max_position_embeddings": 512, "tie_word_embeddings": True}),
    "smollm2-135m": ("LlamaConfig", {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
                                     "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49_152,
                                     "max_position_embeddings": 8192, "tie_word_embeddings": True,
                                     "rope_theta": 100_000.0}),
    "qwen2.5-0.5b": ("Qwen2Config", {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
                                     "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151_936,
                                     "max_position_embeddings": 32_768, "tie_word_embeddings": True,
                                     "rope_theta": 1_000_000.0}),
    "llama-3.2-1b": ("LlamaConfig", {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
                                     "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128_256,
                                     "max_position_embeddings": 131_072, "tie_word_embeddings": True,
                                     "rope_theta": 500_000.0}),
    "qwen2.5-3b": ("Qwen2Config", {"hidden_size": 2048, "intermediate_size": 11_008, "num_hidden_layers": 36,
                                   "num_attention_heads": 16, "num_key_value_heads": 2, "vocab_size": 151_936,
                                   "max_position_embeddings": 32_768, "tie_word_embeddings": True,
                                   "rope_theta": 1_000_000.0}),
    "llama-3.1-8b": ("LlamaConfig", {"hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32,
                                     "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128_256,
                                     "max_position_embeddings": 131_072, "tie_word_embeddings": False,
                                     "rope_theta": 500_000.0}),
}
WORDS = 2_000
ROWS_JUDGED = 16
"""Validation rows, and test rows."""


def main() -> int:
    """Write the folder and print its size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="llama-3.2-1b")
    parser.add_argument("--tokenizer", type=Path, help="a model's folder; otherwise a token is a made-up word")
    args = parser.parse_args()
    count = make(args.out, args.shape, tokenizer=args.tokenizer)
    print(f"{args.out}: {count / 1e9:.2f} billion weights of random numbers in bf16")
    return 0


def make(folder: Path, shape: str, *, tokenizer: Path | None = None) -> int:
    """A causal language model in bf16, as such models are published; returns its parameters."""
    import torch
    import transformers

    known = transformers.AutoTokenizer.from_pretrained(tokenizer) if tokenizer else word_tokenizer()
    known.pad_token = known.pad_token or known.eos_token
    name, values = SHAPES[shape]
    config = getattr(transformers, name)(**values, bos_token_id=known.bos_token_id, eos_token_id=known.eos_token_id,
                                         pad_token_id=known.pad_token_id)
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    known.save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def words() -> list[str]:
    """Made-up words, the same every time."""
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    made = {"".join(random.choice(letters, size)) for size in random.integers(3, 9, 2 * WORDS)}
    return sorted(made)[:WORDS]


def word_tokenizer() -> Any:
    """A token a word, so that rows have as many tokens as words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    known = ["<pad>", "<unk>", "<s>", "</s>", *words()]
    core = Tokenizer(models.WordLevel({word: number for number, word in enumerate(known)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", unk_token="<unk>", bos_token="<s>",
                                   eos_token="</s>")


def rows(path: Path, *, length: int, train: int) -> Path:
    """A CSV file with the columns text and split: texts of half of `length` words to a fifth more than it, so that most
    have their own length and some are cut."""
    random, vocabulary = np.random.default_rng(length), np.array(words())
    splits = ["train"] * train + ["validation"] * ROWS_JUDGED + ["test"] * ROWS_JUDGED
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "split"])
        for split, size in zip(splits, random.integers(length // 2, length * 6 // 5, len(splits)), strict=True):
            writer.writerow([" ".join(random.choice(vocabulary, size)), split])
    return path


if __name__ == "__main__":
    sys.exit(main())
