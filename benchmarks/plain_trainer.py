"""The other side of the benchmark: fine-tuning as tutorials do it, and as somebody does who knows the Trainer's
options.

`AutoModelForSequenceClassification` with its stock head and `transformers.Trainer`, no cache. It gets the same rows,
epochs, length, batch size and LoRA settings as Thaw's run. Nothing of Thaw is imported. By itself: fp32,
`padding="max_length"`. With `--tuned`: rows grouped by length and padded to the longest of their batch, and with
`--bf16` bf16 mixed precision.

    python benchmarks/plain_trainer.py --rows rows.parquet --model FOLDER --method lora --settings '{"epochs": 1, ...}'
    --out result.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

HEAD_NAMES = ("classifier", "score", "pooler", "pre_classifier")
"""Modules of the stock head: new in this model, so they train in every arm (the tutorials' `modules_to_save`)."""


def main() -> None:
    """Train one arm and write {"accuracy", "train_seconds", "trainable_params", "device_bytes" (peak on a GPU)}."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--method", required=True, choices=("probe", "lora", "qlora", "full", "partial"))
    parser.add_argument("--settings", required=True,
                        help="JSON: epochs, batch_size, max_length, seed, rank, alpha, targets, rates, frozen "
                             "(of partial: how names of modules begin)")
    parser.add_argument("--out", required=True)
    parser.add_argument("--tuned", action="store_true", help="group rows by length, pad to the longest of a batch")
    parser.add_argument("--bf16", action="store_true", help="mixed precision")
    args = parser.parse_args()
    settings: dict[str, Any] = json.loads(args.settings)
    set_seed(settings["seed"])
    data, n_classes = read(args.rows)
    settings |= {"tuned": args.tuned, "bf16": args.bf16}
    model = build(args.model, args.method, n_classes, settings)
    trainer = make_trainer(model, AutoTokenizer.from_pretrained(args.model), data, settings, args.method)
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start
    predictions = trainer.predict(trainer.test_rows).predictions.argmax(-1)  # type: ignore[attr-defined]
    accuracy = float(np.mean(predictions == np.asarray(data["test"]["label"])))
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    on_device = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    Path(args.out).write_text(json.dumps({"accuracy": accuracy, "train_seconds": seconds, "trainable_params": trainable,
                                          "device_bytes": on_device}), encoding="utf-8")


def read(path: str) -> tuple[dict[str, Dataset], int]:
    """Splits of a rows.parquet, and the number of classes."""
    table = pq.read_table(path, columns=["text", "label", "split"]).to_pandas()
    splits = {name: Dataset.from_dict({"text": part["text"].tolist(), "label": part["label"].astype(int).tolist()})
              for name, part in table.groupby("split")}
    return splits, int(table["label"].max()) + 1


def build(folder: str, method: str, n_classes: int, settings: dict[str, Any]) -> torch.nn.Module:
    """The stock model, made trainable as the method's tutorial says."""
    from peft import LoraConfig, TaskType, get_peft_model, prepare_model_for_kbit_training
    from transformers import BitsAndBytesConfig

    extra: dict[str, Any] = {"dtype": torch.float32}
    if method == "qlora":
        extra["quantization_config"] = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4",
                                                          bnb_4bit_use_double_quant=True,
                                                          bnb_4bit_compute_dtype=torch.bfloat16 if settings["bf16"]
                                                          else torch.float32,
                                                          llm_int8_skip_modules=[*HEAD_NAMES, "pooler.dense"])
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=n_classes, **extra)
    if method == "probe":
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith("classifier") or name.startswith("score"))
    if method == "partial":
        for name, parameter in model.base_model.named_parameters():
            parameter.requires_grad_(not name.startswith(tuple(settings["frozen"])))
    if method == "qlora":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        # packing for inference breaks training on processors with AVX512-BF16 (bitsandbytes 0.50)
        for module in model.modules():
            if hasattr(module, "support_avx512bf16_for_cpu"):
                module.support_avx512bf16_for_cpu = False
    if method in ("lora", "qlora"):
        heads = [name for name, _ in model.named_modules() if name.rsplit(".", 1)[-1] in HEAD_NAMES]
        model = get_peft_model(model,
                               LoraConfig(task_type=TaskType.SEQ_CLS, r=settings["rank"], lora_alpha=settings["alpha"],
                                          target_modules=settings["targets"], modules_to_save=heads))
    return model


def make_trainer(model: torch.nn.Module, tokenizer: Any, data: dict[str, Dataset], settings: dict[str, Any],
                 method: str) -> Trainer:
    """A Trainer over rows padded to the maximum, or (tuned) grouped by length; `test_rows` is put on it."""
    tuned = settings["tuned"]

    def tokenise(batch: dict[str, Any]) -> dict[str, Any]:
        return dict(tokenizer(batch["text"], padding=False if tuned else "max_length", truncation=True,
                              max_length=settings["max_length"]))

    ready = {name: part.map(tokenise, batched=True, remove_columns=["text"]) for name, part in data.items()}
    extra: dict[str, Any] = {"train_sampling_strategy": "group_by_length", "bf16": settings["bf16"]} if tuned else {}
    collator = DataCollatorWithPadding(tokenizer) if tuned else None
    trainer = Trainer(model=model, data_collator=collator, train_dataset=ready["train"],
                      eval_dataset=ready["validation"], args=TrainingArguments(
        output_dir=tempfile.mkdtemp(), num_train_epochs=settings["epochs"],
        per_device_train_batch_size=settings["batch_size"], per_device_eval_batch_size=settings["batch_size"],
        learning_rate=settings["rates"][method], warmup_steps=settings["warmup_steps"],
        weight_decay=0.01, seed=settings["seed"], use_cpu=not torch.cuda.is_available(), report_to="none",
        disable_tqdm=True, eval_strategy="epoch", save_strategy="no", logging_strategy="no", **extra))
    trainer.test_rows = ready["test"]  # type: ignore[attr-defined]
    return trainer


if __name__ == "__main__":
    main()
