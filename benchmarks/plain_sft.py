"""The other side of the language benchmark: fine-tuning as trl's documentation shows it, and as somebody does who knows
its options.

`SFTTrainer` with a `{"text": …}` dataset and, for adapters, a `peft_config`. It gets the same rows, steps, length,
batch size, LoRA settings and precision as Thaw's run. Nothing of Thaw is imported. By itself: trl's defaults (gradient
checkpointing on, batches padded to their longest row). With `--tuned`: no gradient checkpointing, rows grouped by
length. Needs trl (`pip install trl`).

    python benchmarks/plain_sft.py --rows rows.parquet --model FOLDER --method lora --settings '{"steps": 60, ...}'
    --out result.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, TrainerCallback, set_seed
from trl import SFTConfig, SFTTrainer


class Clock(TrainerCallback):
    """Seconds of each step and non-padding tokens seen, without what comes before the first step."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        """The clock starts."""
        self.ends.append(time.perf_counter())

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        """A step is over, on the GPU too."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())


def main() -> None:
    """Train one arm and write {"train_seconds", "step_seconds", "tokens", "test_loss", "trainable_params",
    "device_bytes"}, the loss unless only steps are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--method", required=True, choices=("lora", "qlora", "full", "partial"))
    parser.add_argument("--settings", required=True,
                        help="JSON: steps, batch_size, max_length, seed, rank, alpha, rate")
    parser.add_argument("--out", required=True)
    parser.add_argument("--tuned", action="store_true", help="no gradient checkpointing, rows grouped by length")
    parser.add_argument("--bf16", action="store_true", help="mixed precision")
    parser.add_argument("--steps-only", action="store_true", help="no loss on the test rows")
    args = parser.parse_args()
    settings: dict[str, Any] = json.loads(args.settings)
    set_seed(settings["seed"])
    data = read(args.rows)
    clock = Clock()
    trainer = make_trainer(args.model, args.method, data, settings, tuned=args.tuned, bf16=args.bf16)
    trainer.add_callback(clock)
    tokens = sum(min(len(ids), settings["max_length"]) for ids in trainer.train_dataset["input_ids"])
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start
    found = {} if args.steps_only else {
        "test_loss": trainer.evaluate(trainer.test_rows)["eval_loss"]}  # type: ignore[attr-defined]
    steps = [b - a for a, b in zip(clock.ends, clock.ends[1:], strict=False)]
    Path(args.out).write_text(json.dumps({
        "train_seconds": seconds, "step_seconds": steps, "tokens_a_row": tokens / len(trainer.train_dataset),
        **found,
        "trainable_params": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        "device_bytes": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0}), encoding="utf-8")


def read(path: str) -> dict[str, Dataset]:
    """Splits of a rows.parquet."""
    table = pq.read_table(path, columns=["text", "split"]).to_pandas()
    return {name: Dataset.from_dict({"text": part["text"].tolist()}) for name, part in table.groupby("split")}


def make_trainer(folder: str, method: str, data: dict[str, Dataset], settings: dict[str, Any], *, tuned: bool,
                 bf16: bool) -> SFTTrainer:
    """The documentation's trainer for the method; `test_rows` is put on it."""
    options: dict[str, Any] = {"dtype": torch.float32}
    if method == "qlora":
        options = {"dtype": torch.bfloat16 if bf16 else torch.float32, "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16 if bf16 else torch.float32)}
    model = AutoModelForCausalLM.from_pretrained(folder, **options)
    # packing for inference breaks training on processors with AVX512-BF16 (bitsandbytes 0.50)
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    if method == "partial":
        freeze_lower_half(model)
    adapters = LoraConfig(r=settings["rank"], lora_alpha=settings["alpha"], target_modules="all-linear",
                          task_type="CAUSAL_LM") if method in ("lora", "qlora") else None
    extra: dict[str, Any] = ({"gradient_checkpointing": False, "train_sampling_strategy": "group_by_length"} if tuned
                             else {})
    config = SFTConfig(
        output_dir=tempfile.mkdtemp(), max_steps=settings["steps"], max_length=settings["max_length"],
        per_device_train_batch_size=settings["batch_size"], per_device_eval_batch_size=settings["batch_size"],
        learning_rate=settings["rate"], seed=settings["seed"], use_cpu=not torch.cuda.is_available(), bf16=bf16,
        report_to="none", disable_tqdm=True, save_strategy="no", logging_strategy="no", eval_strategy="no",
        dataset_text_field="text", **extra)
    trainer = SFTTrainer(model=model, args=config, train_dataset=data["train"], eval_dataset=data["test"],
                         processing_class=AutoTokenizer.from_pretrained(folder), peft_config=adapters)
    trainer.test_rows = trainer.eval_dataset  # type: ignore[attr-defined]
    return trainer


def freeze_lower_half(model: torch.nn.Module) -> None:
    """No gradients for the embeddings and the lower half of the blocks."""
    layers = model.model.layers  # type: ignore[union-attr]
    for module in (model.get_input_embeddings(), *layers[:len(layers) // 2]):  # type: ignore[operator]
        module.requires_grad_(False)


if __name__ == "__main__":
    main()
