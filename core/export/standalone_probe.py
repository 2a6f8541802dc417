"""Train the run's linear probe again: `python train.py --base FOLDER_OR_HUB_ID --data rows.parquet`.

Features of the base model, pooled; logistic regression on them, its strength chosen by the log-loss of validation rows
(by five-fold cross-validation where there are none). Writes predictions.json: a list of {"row_id", "probabilities"}.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import torch
from sklearn.linear_model import LogisticRegression
from transformers import AutoModel, AutoTokenizer

HERE = Path(__file__).parent
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
FOLDS, UNCHOSEN, ABSENT_MARGIN = 5, 0.1, 10.0


@torch.no_grad()
def features(texts: list[str], base: str, about: dict[str, Any]) -> np.ndarray:
    """(n_rows, width): tokens cut, filled up to a multiple of 32, and pooled after the last block."""
    tokenizer: Any = AutoTokenizer.from_pretrained(base)  # type: ignore[no-untyped-call]
    model = AutoModel.from_pretrained(base, dtype=torch.float32).eval()
    pads = (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id)
    pad = next((id for id in pads if id is not None), 0)
    limit = about["max_length"]
    rows = tokenizer(texts, truncation=True, max_length=limit, return_attention_mask=False,
                     return_token_type_ids=False)["input_ids"]
    rows = [ids or [pad] for ids in rows]
    order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
    found: dict[int, np.ndarray] = {}
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(about["precision"])
    while order:
        longest = len(rows[order[0]])
        batch, order = order[:max(1, min(32, 4096 // longest))], order[max(1, min(32, 4096 // longest)):]
        width = min(-(-longest // 32) * 32, max(limit, longest))
        ids = torch.tensor([rows[row] + [pad] * (width - len(rows[row])) for row in batch])
        mask = torch.tensor([[1] * len(rows[row]) + [0] * (width - len(rows[row])) for row in batch])
        with torch.autocast("cpu", dtype=half or torch.bfloat16, enabled=half is not None):
            hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        if about["pooling"] == "mean":
            pooled = (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
        else:
            pooled = hidden[torch.arange(len(batch)), 0 if about["pooling"] == "cls" else mask.sum(1) - 1]
        found |= dict(zip(batch, pooled.numpy(), strict=True))
    return np.stack([found[row] for row in range(len(rows))])


def log_loss(model: LogisticRegression, judged: np.ndarray, truth: np.ndarray) -> float:
    """Summed over the rows; a class without training rows counts as 1e-15."""
    column = {int(number): at for at, number in enumerate(model.classes_)}
    logs = model.predict_log_proba(judged)
    values = [logs[row, column[int(y)]] if int(y) in column else np.log(1e-15) for row, y in enumerate(truth)]
    return -float(np.sum(np.maximum(values, np.log(1e-15))))


def best(parts: list[tuple[np.ndarray, ...]]) -> tuple[float, np.ndarray, np.ndarray]:
    """The strength with the least log-loss, and its fit on the last part."""
    losses, fitted = dict.fromkeys(STRENGTHS, 0.0), {}
    for values, labels, judged, truth in parts:
        model = LogisticRegression(max_iter=200, tol=1e-4, warm_start=True)
        for strength in STRENGTHS:
            model.C = strength
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(values, labels)
            losses[strength] += log_loss(model, judged, truth)
            fitted[strength] = model.coef_.copy(), model.intercept_.copy()
    chosen = next(strength for strength, loss in losses.items() if loss <= min(losses.values()) + 1e-9)
    return chosen, *fitted[chosen]


def folds(values: np.ndarray, labels: np.ndarray, seed: int) -> list[tuple[np.ndarray, ...]]:
    """Stratified: rows of one class lie in different folds."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    number = np.empty(len(labels), np.int64)
    number[shuffled[np.argsort(labels[shuffled], kind="stable")]] = np.arange(len(labels)) % min(FOLDS, len(labels))
    parts = [(values[number != fold], labels[number != fold], values[number == fold], labels[number == fold])
             for fold in range(min(FOLDS, len(labels)))]
    return [part for part in parts if len(np.unique(part[1])) > 1]


def solve(values: np.ndarray, labels: np.ndarray, judged: np.ndarray, truth: np.ndarray, *, classes: int,
          seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Weight (n_classes, width) and bias (n_classes,) of a linear layer on raw features."""
    present = np.unique(labels)
    mean, scale = values.mean(0, dtype=np.float64), values.std(0, dtype=np.float64)
    scale[scale < 1e-6 * max(1.0, float(scale.max()))] = 1.0
    standard = ((values - mean) / scale).astype(np.float64)
    if len(truth):
        _, coef, intercept = best([(standard, labels, (judged - mean) / scale, truth)])
    else:
        strength = best(folds(standard, labels, seed))[0] if len(labels) > len(present) else UNCHOSEN
        model = LogisticRegression(C=strength, max_iter=500, tol=1e-5).fit(standard, labels)
        coef, intercept = model.coef_, model.intercept_
    if len(present) == 2:
        coef, intercept = np.vstack([-coef[0] / 2, coef[0] / 2]), np.array([-intercept[0] / 2, intercept[0] / 2])
    raw = coef / scale
    offset = intercept - raw @ mean
    weight, bias = np.tile(raw.mean(0), (classes, 1)), np.full(classes, offset.min() - ABSENT_MARGIN)
    weight[present], bias[present] = raw, offset
    return weight.astype(np.float32), bias.astype(np.float32)


def main() -> None:
    """Features, head, predictions."""
    about = json.loads((HERE / "script.json").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", default=about["base_model"])
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", default=str(HERE / "predictions.json"))
    args = parser.parse_args()
    table = parquet.read_table(args.data)
    at = {int(id): row for row, id in enumerate(table["row_id"].to_pylist())}
    labels, texts = np.array(table["label"].to_pylist()), table["text"].to_pylist()
    wanted = [at[id] for part in ("train", "validation", "test") for id in about[part]]
    found = dict(zip(wanted, features([texts[row] for row in wanted], args.base, about), strict=True))
    parts = {part: [at[id] for id in about[part]] for part in ("train", "validation", "test")}
    values = {part: np.stack([found[row] for row in rows]) if rows else np.zeros((0, 1))
              for part, rows in parts.items()}
    weight, bias = solve(values["train"], labels[parts["train"]], values["validation"], labels[parts["validation"]],
                         classes=len(about["classes"]), seed=about["seed"])
    logits = (values["test"] @ weight.T + bias).astype(np.float64)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    odds /= odds.sum(1, keepdims=True)
    said = [{"row_id": id, "probabilities": dict(zip(about["classes"], row.tolist(), strict=True))}
            for id, row in zip(about["test"], odds, strict=True)]
    Path(args.out).write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")
    right = int((odds.argmax(1) == labels[parts["test"]]).sum())
    sys.stdout.write(json.dumps({"rows": len(said), "right": right}) + "\n")


if __name__ == "__main__":
    main()
