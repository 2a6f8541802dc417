"""Train the run again: `python train.py --base FOLDER_OR_HUB_ID --data rows.parquet`.

The base model's body, its pooled last states, and a linear head, solved as a linear probe at first; then, where the run
did, the steps of AdamW over the same batches. `script.json` says which rows, which parameters and which rates. Writes
predictions.json for the test rows: a list of {"row_id", "probabilities"}.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from probe import solve  # type: ignore[import-not-found]
from rows import Rows, batches_an_epoch, read  # type: ignore[import-not-found]
from torch import nn

HERE = Path(__file__).parent
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Network(nn.Module):
    """Body, pooling, and a linear head in 32 bits."""

    def __init__(self, base: str, about: dict[str, Any], held: str, dropout: float) -> None:
        """held: how the body's weights are: pretrained, fresh, or 4bit."""
        super().__init__()
        self.about, self.in_eval = about, list[nn.Module]()
        self.body = body_of(base, about, held, dropout)
        self.head = nn.Linear(about["width"], len(about["classes"]))

    def features(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """(n_rows, width)"""
        device = self.head.weight.device
        inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
        half = HALF.get(self.about["precision"])
        with torch.autocast(device.type, dtype=half) if half else nullcontext():
            output = self.body(**inputs)
        how = self.about["pooling"]
        if how == "model":
            return output.pooler_output.flatten(1).float()
        hidden = output.last_hidden_state.float()
        if hidden.ndim == 4:  # a feature map: the mean over its places
            return hidden.mean((1, 2) if self.about["channels_last"] else (2, 3))
        mask = inputs.get("attention_mask", torch.ones(hidden.shape[:2], device=device))
        if mask.shape[1] != hidden.shape[1]:  # some bodies hand on fewer places than tokens
            mask = mask[:, torch.arange(hidden.shape[1], device=device) * mask.shape[1] // hidden.shape[1]]
        if how == "mean":
            return (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        last = (mask.long() * torch.arange(mask.shape[1], device=device)).argmax(1)
        return hidden[torch.arange(len(hidden), device=device), 0 if how == "cls" else last]

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Logits, (n_rows, n_classes)."""
        return self.head(self.features(inputs))

    def train(self, mode: bool = True) -> Network:
        """What is frozen stays in eval mode."""
        super().train(mode)
        for module in self.in_eval:
            module.eval()
        return self


def body_of(base: str, about: dict[str, Any], held: str, dropout: float) -> Any:
    """The base model without a head; dropout in all its layers."""
    kind = getattr(transformers, about["body"])
    config = kind.config_class.from_pretrained(base)
    if config.model_type == "timm_wrapper":
        options = {name: value for name, value in (config.model_args or {}).items() if "drop" not in name}
        config.model_args = options | ({"drop_path_rate": dropout} if dropout else {})
    else:
        for name, value in config.to_dict().items():
            if "drop" in name and isinstance(value, float):
                setattr(config, name, dropout)
    if hasattr(config, "use_cache"):
        config.use_cache = False
    if held == "fresh":
        return fresh(kind, config, about)
    if held == "4bit":
        return four_bit(kind, base, config, about)
    body = kind.from_pretrained(base, config=config, dtype=torch.float32, **about["options"])
    if about["input"] == "image" and all(parameter.ndim <= 4 for parameter in body.parameters()):
        body = body.to(memory_format=torch.channels_last)
    return body.eval()


def fresh(kind: Any, config: Any, about: dict[str, Any]) -> Any:
    """The same with random weights."""
    body = kind(config, **about["options"])
    if config.model_type == "timm_wrapper":
        import timm

        body.timm_model = timm.create_model(config.architecture, pretrained=False, num_classes=0,
                                            **(config.model_args or {}))
    return body.eval()


def four_bit(kind: Any, base: str, config: Any, about: dict[str, Any]) -> Any:
    """The same with its linear layers in 4 bits; all else in 32."""
    dtype, spec = HALF.get(about["precision"], torch.float32), about["four_bit"]
    rounded = transformers.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type=spec["type"], bnb_4bit_use_double_quant=spec["double"],
        bnb_4bit_compute_dtype=dtype, llm_int8_skip_modules=spec["skip"])
    body = kind.from_pretrained(base, config=config, dtype=dtype, quantization_config=rounded,
                                device_map={"": about["device"]}, **about["options"])
    layers = [module for module in body.modules() if hasattr(module, "support_avx512bf16_for_cpu")]
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False  # packed for speed, no gradient would pass
    inside = {id(parameter) for layer in layers for parameter in layer.parameters()}
    for parameter in body.parameters():
        if id(parameter) not in inside and parameter.dtype in HALF.values():
            parameter.data = parameter.data.float()
    return body.eval()


@torch.no_grad()
def said(network: Network, rows: Rows, places: np.ndarray, what: str) -> np.ndarray:
    """`features` or `logits` of these rows, in their order."""
    network.eval()
    found: dict[int, np.ndarray] = {}
    for batch in rows.by_length(places):
        inputs = rows.batch(batch)
        values = network.features(inputs) if what == "features" else network(inputs)
        found |= dict(zip(batch.tolist(), values.float().cpu().numpy(), strict=True))
    return np.stack([found[place] for place in places.tolist()])


def make_trainable(network: Network, about: dict[str, Any]) -> None:
    """Adapters, what trains, and what stays in eval mode."""
    if about["adapter"]:
        import peft

        network.body.requires_grad_(False)
        settings = dict(about["adapter"])
        network.body = peft.get_peft_model(network.body, getattr(peft, settings.pop("kind"))(**settings))
    trained = {name for group in about["groups"] for name in group["names"]}
    for name, parameter in network.named_parameters():
        if parameter.is_floating_point():
            parameter.requires_grad_(name in trained)
    if missing := trained - {name for name, _ in network.named_parameters()}:
        raise SystemExit(f"This base model has no {sorted(missing)[0]}: it is another one than the run's.")


def thaw(network: Network, about: dict[str, Any], step: int) -> None:
    """What is frozen at this step (from 0): without gradient, and in eval mode."""
    none: dict[str, Any] = {"names": [], "in_eval": []}
    now = next((stage for stage in about["frozen"] if step < stage["until"]), none)
    own, modules = dict(network.named_parameters()), dict(network.named_modules())
    waiting = set(now["names"])
    for group in about["groups"]:
        for name in group["names"]:
            own[name].requires_grad_(name not in waiting)
    network.in_eval = [modules[name] for name in (*about["in_eval"], *now["in_eval"])]


def rates(about: dict[str, Any], total: int) -> list[Any]:
    """The factor of each group's rate at a step: it rises for the warm-up and falls to zero. Where the head trains
    first, the body's begins once it has settled."""
    warm, settle = int(about["warmup_ratio"] * total), about["settle"]

    def linear(step: int) -> float:
        return step / max(1, warm) if step < warm else max(0.0, (total - step) / max(1, total - warm))

    def falling(step: int) -> float:
        return max(0.0, 1 - step / max(1, total))

    def late(step: int) -> float:
        return falling(step) * min(1.0, max(0.0, (step - settle + 1) / (settle + 1)))

    return [linear if not settle else late if group["body"] else falling for group in about["groups"]]


def fit(network: Network, rows: Rows, about: dict[str, Any], train: np.ndarray, validation: np.ndarray) -> None:
    """Steps of AdamW; the weights of the best evaluation on the validation rows are put back at the end."""
    own = dict(network.named_parameters())
    optimizer = torch.optim.AdamW([{"params": [own[name] for name in group["names"]], "lr": group["lr"],
                                    "weight_decay": group["weight_decay"]} for group in about["groups"]], fused=True)
    size, accumulation = about["batch_size"], about["gradient_accumulation"]
    an_epoch = -(-batches_an_epoch(len(train), size) // accumulation)
    total = max(1, math.ceil(an_epoch * about["epochs"]))
    every = max(1, math.ceil(an_epoch / max(1, about["evaluations_per_epoch"])))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rates(about, total))
    start = {name: own[name].detach().clone() for name in about["pulled"]}
    best, kept, without = -math.inf, None, 0
    for step in range(1, total + 1):
        epoch, at = divmod(step - 1, an_epoch)
        if at == 0:
            batches = rows.shuffled(train, size, about["seed"], epoch)
            torch.empty((), dtype=torch.int64).random_()  # a DataLoader draws a number, so that dropout's are the run's
        thaw(network, about, step - 1)
        network.train()
        if step <= about["settle"]:  # the head alone: the body's statistics stay
            network.body.eval()
        part = batches[at * accumulation:(at + 1) * accumulation]
        loss = 0.0
        for batch in part:
            labels = torch.from_numpy(rows.labels[batch]).to(network.head.weight.device)
            own_share = loss_of(network, rows.batch(batch), labels, about["contrast"]) * (
                len(batch) / sum(map(len, part)))
            own_share.backward()
            loss += float(own_share.detach())
        nn.utils.clip_grad_norm_(network.parameters(), about["max_grad_norm"])
        for name, value in start.items():  # the pull towards the pretrained weights (L2-SP)
            own[name].grad.add_(own[name].detach() - value, alpha=about["pull"])
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        tell(done=step, total=total, loss=loss)
        if len(validation) and (step % every == 0 or step == total):
            value = score(said(network, rows, validation, "logits"), rows.labels[validation])
            better, nearly = value > best, as_good(value, best, len(validation))
            without = 0 if better else without + 1
            best = max(best, value)
            if better or nearly:
                kept = state(network, about)
            if about["patience"] and without >= about["patience"]:
                break
    if kept is not None:
        network.load_state_dict(kept, strict=False)


def loss_of(network: Network, inputs: dict[str, torch.Tensor], labels: torch.Tensor, contrast: float) -> torch.Tensor:
    """Mean cross-entropy; with a share of the supervised contrastive loss (Gunel et al. 2021) where the run had one."""
    features = network.features(inputs)
    loss = nn.functional.cross_entropy(network.head(features), labels)
    if not contrast:
        return loss
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    directions = nn.functional.normalize(features, dim=1)
    likeness = (directions @ directions.T / 0.3).masked_fill(own, float("-inf"))
    together = (labels[:, None] == labels[None, :]) & ~own
    others = together.sum(1)
    pulled = -(torch.log_softmax(likeness, 1).masked_fill(own, 0.0) * together).sum(1) / others.clamp(min=1)
    pull = pulled[others > 0].mean() if bool((others > 0).any()) else 0.0 * features.sum()
    return (1 - contrast) * loss + contrast * pull


def state(network: Network, about: dict[str, Any]) -> dict[str, torch.Tensor]:
    """What training changes: parameters of all groups, and statistics of norms."""
    trained = {name for group in about["groups"] for name in group["names"]}
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()
            if name in trained or name.rpartition(".")[2] in ("running_mean", "running_var")}


def score(logits: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy; the loss breaks ties."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    loss = float(np.mean(np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]))
    return float((logits.argmax(1) == labels).mean()) - 1e-3 * math.tanh(loss)


def as_good(value: float, best: float, n_rows: int) -> bool:
    """Within one standard error of the best: of evaluations that cannot be told apart the later one is kept."""
    share = (max(best, 0.0) * n_rows + 1) / (n_rows + 2)
    return value > best - math.sqrt(share * (1 - share) / n_rows)


def tell(**facts: Any) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def run(rows: Rows, about: dict[str, Any], base: str) -> np.ndarray:
    """Logits of the test rows, (n_rows, n_classes): the solved head's, or those after the steps."""
    train, validation, test = (rows.places(about[part]) for part in ("train", "validation", "test"))
    network, head = None, None
    if about["solved_head"]:
        torch.manual_seed(about["seed"])
        network = Network(base, about, "pretrained", 0.0).to(about["device"])
        wanted = np.unique(np.concatenate([train, validation] if about["steps"] else [train, validation, test]))
        found = dict(zip(wanted.tolist(), said(network, rows, wanted, "features"), strict=True))
        judging = validation[:0] if about["labels_counted"] else validation
        values, judged = (np.array([found[place] for place in places.tolist()]).reshape(-1, about["width"])
                          for places in (train, judging))
        head = solve(values, rows.labels[train], judged, rows.labels[judging], classes=len(about["classes"]),
                     seed=about["seed"])
        if not about["steps"]:
            return np.stack([found[place] for place in test.tolist()]) @ head[0].T + head[1]
    if network is None or about["held"] != "pretrained" or about["dropout"]:
        torch.manual_seed(about["seed"])
        network = Network(base, about, about["held"], about["dropout"]).to(about["device"])
    if head is not None:
        network.head.load_state_dict({"weight": torch.from_numpy(head[0]), "bias": torch.from_numpy(head[1])})
    make_trainable(network, about)
    network.to(about["device"])
    torch.manual_seed(about["seed"])
    fit(network, rows, about, train, validation)
    return said(network, rows, test, "logits")


def main() -> None:
    """Head, steps, predictions."""
    about = read(HERE / "script.json")
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", default=about["base_model"])
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", default=str(HERE / "predictions.json"))
    args = parser.parse_args()
    about["device"] = "cuda" if about["device"] == "cuda" and torch.cuda.is_available() else "cpu"
    rows = Rows(args.data, about, args.base)
    logits = run(rows, about, args.base)
    odds = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    odds /= odds.sum(1, keepdims=True)
    answers = [{"row_id": id, "probabilities": dict(zip(about["classes"], row.tolist(), strict=True))}
               for id, row in zip(about["test"], odds, strict=True)]
    Path(args.out).write_text(json.dumps(answers, ensure_ascii=False), encoding="utf-8")
    tell(rows=len(answers), right=int((odds.argmax(1) == rows.labels[rows.places(about["test"])]).sum()))


if __name__ == "__main__":
    main()
