"""Train the run again: `python train.py --base FOLDER_OR_HUB_ID`.

A causal language model, the steps of AdamW over the run's batches, and a loss on the tokens that are taught. The tokens
are in tokens.parquet; script.json says which rows, which parameters and which rates. Writes predictions.json for the
test rows: a list of {"row_id", "loss" (nats, over the row's taught tokens), "tokens" (taught), "right" (of these the
likeliest)}.
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
from rows import IGNORED, Rows, batches_an_epoch, read  # type: ignore[import-not-found]
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig

HERE = Path(__file__).parent
HALF = {"bf16": torch.bfloat16}
AT_ONCE = 256
"""Tokens whose logits are in memory together."""
RESAMPLES, RESAMPLED = 2000, 100


class Head(nn.Module):
    """The model's own output layer: hidden states -> logits in 32 bits, scaled and bounded as the model does."""

    def __init__(self, causal: Any, about: dict[str, Any]) -> None:
        super().__init__()
        output = causal.get_output_embeddings()
        self.scale, self.cap, self.layer = about["scale"], about["cap"], [output]  # in a list: no module of this one
        if about["tied"]:
            self.own_bias = output.bias
        else:
            self.output = output

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(n_tokens, n_vocabulary) of (n_tokens, width)."""
        logits = self.layer[0](hidden).float() * self.scale
        return logits if self.cap is None else torch.tanh(logits / self.cap) * self.cap


class Network(nn.Module):
    """The model's body, adapters and all, and its output layer."""

    def __init__(self, base: str, about: dict[str, Any]) -> None:
        super().__init__()
        causal = causal_of(base, about)
        self.about, self.in_eval = about, list[nn.Module]()
        self.body, self.head = causal.base_model, Head(causal, about)

    def forward(self, inputs: dict[str, torch.Tensor], labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the taught tokens of a batch, row by row: (losses in nats, whether each is the likeliest), (n_taught,)."""
        device = next(self.parameters()).device
        inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
        places = (labels.flatten() != IGNORED).nonzero().squeeze(1).to(device)
        truth = labels.flatten().to(device)[places]
        half = HALF.get(self.about["precision"])
        with torch.autocast(device.type, dtype=half) if half else nullcontext():
            base = None
            if self.about["to_base"] and self.training and torch.is_grad_enabled():  # adapters off: the base model
                with torch.no_grad(), self.body.disable_adapter():
                    base = self.body(**inputs).last_hidden_state.flatten(0, 1)[places - 1]
            hidden = self.body(**inputs).last_hidden_state.flatten(0, 1)[places - 1]
            parts = [checkpoint(self.scored, hidden[at:at + AT_ONCE], truth[at:at + AT_ONCE],
                                None if base is None else base[at:at + AT_ONCE], use_reentrant=False)
                     for at in range(0, max(1, len(hidden)), AT_ONCE)]
        return tuple(torch.cat(values) for values in zip(*parts, strict=True))  # type: ignore[return-value]

    def scored(self, hidden: torch.Tensor, truth: torch.Tensor,
               base: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss of each token, and whether it is the likeliest; the logits are computed again on the way back. base:
        the base model's states, where the tuned one is held to what it says: beta · KL(base, tuned) is added."""
        logits = self.head(hidden)
        losses = nn.functional.cross_entropy(logits, truth, reduction="none")
        if base is not None:
            tuned, said = logits.log_softmax(-1), self.head(base).log_softmax(-1)
            losses = losses + self.about["to_base"] * (said.exp() * (said - tuned)).sum(-1)
        return losses, logits.argmax(1) == truth

    def train(self, mode: bool = True) -> Network:
        """What is frozen stays in eval mode."""
        super().train(mode)
        for module in self.in_eval:
            module.eval()
        return self


def causal_of(base: str, about: dict[str, Any]) -> Any:
    """The whole base model, with dropout in all its layers where the run had any."""
    config = AutoConfig.from_pretrained(base)
    for name, value in config.to_dict().items():
        if "drop" in name and isinstance(value, float):
            setattr(config, name, about["dropout"])
    if about["held"] == "fresh":
        model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    elif about["held"] == "4bit":
        model = four_bit(base, config, about)
    else:
        model = AutoModelForCausalLM.from_pretrained(base, config=config, dtype=torch.float32)
    model.config.use_cache = False
    return model.eval()


def four_bit(base: str, config: Any, about: dict[str, Any]) -> Any:
    """The same with its linear layers in 4 bits, embeddings and output layer rounded to bf16, all else in 32."""
    dtype, spec = HALF.get(about["precision"], torch.float32), about["four_bit"]
    rounded = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type=spec["type"],
                                 bnb_4bit_use_double_quant=spec["double"], bnb_4bit_compute_dtype=dtype,
                                 llm_int8_skip_modules=spec["skip"])
    model: Any = AutoModelForCausalLM.from_pretrained(base, config=config, dtype=dtype, quantization_config=rounded,
                                                      device_map={"": about["device"]})
    layers = [module for module in model.modules() if hasattr(module, "support_avx512bf16_for_cpu")]
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False  # packed for speed, no gradient would pass
    inside = {id(parameter) for layer in layers for parameter in layer.parameters()}
    tables = {id(module.weight) for module in (*model.modules(), model.get_output_embeddings())
              if isinstance(module, nn.Embedding) or module is model.get_output_embeddings()}
    for parameter in model.parameters():
        if id(parameter) in tables:
            parameter.data = parameter.data.bfloat16().float()
        elif id(parameter) not in inside and parameter.dtype in (torch.float16, torch.bfloat16):
            parameter.data = parameter.data.float()
    return model


def make_trainable(network: Network, about: dict[str, Any]) -> None:
    """Adapters, what trains, and what stays in eval mode."""
    network.requires_grad_(False)
    if about["adapter"]:
        import peft

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


@torch.no_grad()
def said(network: Network, rows: Rows, places: np.ndarray) -> dict[str, np.ndarray]:
    """Of these rows, in their order: loss (nats over their taught tokens), tokens (taught), right (of these the
    likeliest)."""
    network.eval()
    at = {int(place): row for row, place in enumerate(places)}
    found = {name: np.zeros(len(places), np.float32) for name in ("loss", "right")}
    for batch in rows.by_length(places):
        inputs, labels = rows.batch(batch)
        own = torch.arange(len(batch)).repeat_interleave((labels != IGNORED).sum(1))  # the row of each taught token
        for name, values in zip(("loss", "right"), network(inputs, labels), strict=True):
            sums = torch.zeros(len(batch), dtype=torch.float64).index_add(0, own, values.double().cpu())
            found[name][[at[int(place)] for place in batch]] = sums.numpy()
    return found | {"tokens": rows.tokens(places)}


def fit(network: Network, rows: Rows, about: dict[str, Any], train: np.ndarray, validation: np.ndarray) -> None:
    """Steps of AdamW; the weights of the best evaluation on the validation rows are put back at the end."""
    own = dict(network.named_parameters())
    optimizer = torch.optim.AdamW([{"params": [own[name] for name in group["names"]], "lr": group["lr"],
                                    "weight_decay": group["weight_decay"]} for group in about["groups"]], fused=True)
    size, accumulation = about["batch_size"], about["gradient_accumulation"]
    an_epoch = -(-batches_an_epoch(len(train), size) // accumulation)
    total = max(1, math.ceil(an_epoch * about["epochs"]))
    every, warm = max(1, math.ceil(an_epoch / max(1, about["evaluations_per_epoch"]))), int(
        about["warmup_ratio"] * total)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / max(1, warm) if step < warm else max(
        0.0, (total - step) / max(1, total - warm)))
    start = {name: own[name].detach().clone() for name in about["pulled"]}
    best_said: Any = None
    kept, without = None, 0
    for step in range(1, total + 1):
        epoch, at = divmod(step - 1, an_epoch)
        if at == 0:
            batches = rows.shuffled(train, size, about["seed"], epoch)
            torch.empty((), dtype=torch.int64).random_()  # a DataLoader draws a number, so that dropout's are the run's
        thaw(network, about, step - 1)
        network.train()
        part = batches[at * accumulation:(at + 1) * accumulation]
        taught, loss = max(1, sum(int(rows.tokens(batch).sum()) for batch in part)), 0.0
        for batch in part:
            own_share = network(*rows.batch(batch))[0].sum() / taught
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
            now = said(network, rows, validation)
            better = best_said is None or score(now) > score(best_said)
            best_said = now if better else best_said
            without = 0 if better else without + 1
            if better or as_good(now, best_said, None if rows.groups is None else rows.groups[validation]):
                kept = state(network, about)
            if about["patience"] and without >= about["patience"]:
                break
    if kept is not None:
        network.load_state_dict(kept, strict=False)


def state(network: Network, about: dict[str, Any]) -> dict[str, torch.Tensor]:
    """What training changes."""
    trained = {name for group in about["groups"] for name in group["names"]}
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters() if name in trained}


def a_token(found: dict[str, np.ndarray]) -> float:
    """Nats a taught token."""
    return float(found["loss"].sum(dtype=np.float64) / max(1, found["tokens"].sum()))


def score(found: dict[str, np.ndarray]) -> float:
    """The loss, turned so that higher is better."""
    return -a_token(found) - 1e-3 * math.tanh(a_token(found))


def as_good(now: dict[str, np.ndarray], best: dict[str, np.ndarray], groups: np.ndarray | None) -> bool:
    """Within one standard error of the best, by a paired bootstrap over rows (or their groups): of evaluations that
    cannot be told apart the later one is kept."""
    sums = [np.stack([said["loss"], said["tokens"]], 1).astype(np.float64) for said in (now, best)]
    if groups is not None:
        _, member = np.unique(groups, return_inverse=True)
        sums = [np.stack([np.bincount(member, values) for values in table.T], 1) for table in sums]
    random, count, draws = np.random.default_rng(0), len(sums[0]), []
    for _ in range(RESAMPLES // RESAMPLED):
        drawn = random.integers(0, count, size=(RESAMPLED, count))
        losses = [table[drawn].sum(1) for table in sums]
        draws.append(losses[0][:, 0] / np.maximum(losses[0][:, 1], 1)
                     - losses[1][:, 0] / np.maximum(losses[1][:, 1], 1))
    difference = a_token(now) - a_token(best)
    low, high = np.percentile(np.concatenate(draws), [2.5, 97.5])
    return bool(difference <= (max(high, difference) - min(low, difference)) / (2 * 1.96))


def tell(**facts: Any) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Model, steps, predictions."""
    about = read(HERE / "script.json")
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", default=about["base_model"])
    parser.add_argument("--tokens", default=str(HERE / "tokens.parquet"))
    parser.add_argument("--out", default=str(HERE / "predictions.json"))
    args = parser.parse_args()
    about["device"] = "cuda" if about["device"] == "cuda" and torch.cuda.is_available() else "cpu"
    rows = Rows(Path(args.tokens), about)
    torch.manual_seed(about["seed"])
    network = Network(args.base, about)
    if about["steps"]:
        make_trainable(network, about)
    network.to(about["device"])
    if about["steps"]:
        torch.manual_seed(about["seed"])
        fit(network, rows, about, rows.places(about["train"]), rows.places(about["validation"]))
    found = said(network, rows, rows.places(about["test"]))
    answers = [{"row_id": id, "loss": float(found["loss"][row]), "tokens": int(found["tokens"][row]),
                "right": int(found["right"][row])} for row, id in enumerate(about["test"])]
    Path(args.out).write_text(json.dumps(answers), encoding="utf-8")
    tell(rows=len(answers), loss=a_token(found))


if __name__ == "__main__":
    main()
