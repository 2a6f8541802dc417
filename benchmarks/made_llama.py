"""A Llama of a real size with random weights, to measure memory and speed with where no checkpoint of that size is at
hand: what a step takes does not depend on what the weights are. Its accuracy means nothing.

    python benchmarks/made_llama.py OUT --size 8b --tokenizer FOLDER
    python benchmarks/run.py --model OUT --data r8.csv --methods qlora,lora --sides tuned,alone

The sizes are those of Meta's Llama 3 models (their config.json); the tokenizer is that of any model's folder, whose
vocabulary must be no larger.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaModel

SIZES = {
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32},
    "3b": {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28, "num_attention_heads": 24},
    "8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32},
}
KEY_VALUE_HEADS, VOCABULARY = 8, 128_256


def main() -> int:
    """Write the folder in bf16, as such models are published, and print its size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", choices=SIZES, default="1b")
    parser.add_argument("--tokenizer", type=Path, required=True)
    args = parser.parse_args()
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    config = LlamaConfig(**SIZES[args.size], num_key_value_heads=KEY_VALUE_HEADS, vocab_size=VOCABULARY,
                         max_position_embeddings=8192, rope_theta=500_000.0, bos_token_id=tokenizer.bos_token_id,
                         eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = LlamaModel(config)
    model.save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{args.out}: {count / 1e9:.2f} billion weights of random numbers in bf16")
    return 0


if __name__ == "__main__":
    sys.exit(main())
