"""The network of a causal language model: its body, its own output layer, and a loss that never holds all logits."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.domain.freeze import HEAD, FreezePlan
from core.domain.model import ModelFacts, Weights
from core.domain.recipe import QuantSpec
from core.errors import ModelError
from core.models import adapters, architecture, blocks, held, load, sharing
from core.models.blocks import Stack
from core.models.chunked_loss import held_losses, product_type, token_losses
from core.models.network import Network

CAPS = ("final_logit_softcapping", "logits_soft_cap")
"""Where configurations name the bound of soft-capped logits (Gemma 2, RecurrentGemma)."""
CHECKED_TOKENS = 6
SAME = 1e-2
"""Difference from the model's own logits, against the largest of them, that rounding explains."""


class LanguageHead(nn.Module):
    """A language model's output layer: hidden states -> logits of the vocabulary.

    Tied, it has no parameter of its own: its weight is that of the embedding, which is counted, saved and trained
    there. Otherwise it holds the model's output layer, whose weights are in `state_dict` only where they train.
    scale, cap: logits are `cap · tanh(scale · product / cap)`, as the model's own are; cap None: not bounded.
    """

    def __init__(self, output: nn.Module, *, tied: bool, scale: float = 1.0, cap: float | None = None) -> None:
        super().__init__()
        self.tied = tied
        self.scale, self.cap = scale, cap
        if not tied:
            self.output = output
        else:
            self._layer = [output]  # in a list: not a module of this one
            self.own_bias = getattr(output, "bias", None)

    @property
    def layer(self) -> Any:
        """The model's own output layer."""
        return self._layer[0] if self.tied else self.output

    @property
    def weight(self) -> torch.Tensor:
        """(n_vocabulary, width)."""
        return self.layer.weight  # type: ignore[no-any-return]

    @property
    def bias(self) -> torch.Tensor | None:
        return getattr(self.layer, "bias", None)

    @property
    def vocabulary(self) -> int:
        return int(self.weight.shape[0])

    def finish(self, logits: torch.Tensor) -> torch.Tensor | None:
        """Scale and bound products (fp32) in place, as the model does; returns their slope, None where it is 1."""
        if self.cap is None:
            if self.scale == 1.0:
                return None
            logits.mul_(self.scale)
            return logits.new_tensor(self.scale)
        logits.mul_(self.scale / self.cap).tanh_()
        slope = logits.square().neg_().add_(1).mul_(self.scale)
        logits.mul_(self.cap)
        return slope

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits (…, n_vocabulary) of hidden states (…, width); scaled or bounded ones in fp32, others in the type of
        the product."""
        kind = product_type(hidden, self.weight)
        with torch.autocast(hidden.device.type, enabled=False):
            bias = None if self.bias is None else self.bias.to(kind)
            product = nn.functional.linear(hidden.to(kind), self.weight.to(kind), bias)
        if self.cap is None:
            return product if self.scale == 1.0 else product.float() * self.scale
        return torch.tanh(product.float() * (self.scale / self.cap)) * self.cap

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Only what trains: the rest is the base model's."""
        keep = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        prefix = kwargs.get("prefix", args[1] if len(args) > 1 else "")
        state = super().state_dict(*args, **kwargs)
        for name, _ in self.named_parameters():
            if name not in keep:
                state.pop(prefix + name, None)
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Put back what a `state_dict` holds, however little. Raises RuntimeError for names that are not its own."""
        own = dict(self.named_parameters())
        if strict and (unknown := sorted(set(state_dict) - set(own))):
            raise RuntimeError(f"Unexpected key(s) in state_dict: {', '.join(unknown)}")
        with torch.no_grad():
            for name, tensor in state_dict.items():
                if name in own:
                    if own[name].dtype != tensor.dtype:
                        own[name].data = own[name].data.to(tensor.dtype)
                    own[name].copy_(tensor)
        return torch.nn.modules.module._IncompatibleKeys([], [])


def memory_name(model: nn.Module) -> str:
    """What a transformer takes and gives what it keeps of the tokens that it has read by."""
    known = inspect.signature(model.forward).parameters
    return "cache" if "cache" in known else "past_key_values"  # its name before transformers 5.24


class LanguageNetwork(Network):
    """A causal language model as `Network`: blocks, freeze plans, adapters and hooks see its body, the loss its head.

    causal: the whole model, whose inner model is the body, adapters and all, so that `causal.generate` says what was
    learned. Under bf16, plain matrices that do not train are held in bf16: call it (and `causal.generate`) under
    autocast, as everything that computes in bf16 does. Tensors that only the loss needs (`labels`) reach `forward`
    alone; hooks and features never see them.
    """

    head: LanguageHead
    scores_tokens = True
    """Its outputs are by token, and it takes the labels that they are judged by."""

    def __init__(self, causal: Any, *, head: LanguageHead, stack: Stack, pooling: str = "mean",
                 compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__(causal.base_model, head=head, stack=stack, pooling=pooling)
        self._causal = [causal]  # in a list: its modules are the body's and the head's
        self.compute_dtype = compute_dtype
        self.reads_no_mask = False
        """Whether `forward` leaves the attention mask out. Padding stands behind all that is said, where a causal model
        does not look; without a mask a GPU takes its fast attention, and keeps no mask of n_tokens² for each block."""

    @property
    def causal(self) -> Any:
        return self._causal[0]

    def features(self, **inputs: torch.Tensor) -> torch.Tensor:
        """Pooled activations after the last block, (n_rows, width), fp32."""
        inputs.pop("labels", None)  # type: ignore[call-overload]
        return super().features(**inputs)

    def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """With `labels` (n_rows, n_tokens), the tokens themselves, −100 where not taught: `losses`, `right` and
        `taught` of `token_losses` (which takes their `places`, too). Without: `hidden` (n_rows, n_tokens, width), which
        `logits` makes words of. While it trains held to its base model, `losses` are those of `held_losses`."""
        labels, places = (inputs.pop(name, None) for name in ("labels", "places"))  # type: ignore[call-overload]
        if self.reads_no_mask:
            inputs.pop("attention_mask", None)  # type: ignore[call-overload]
        base = None
        if self.held_to_base and labels is not None and self.training and torch.is_grad_enabled():
            with torch.no_grad(), adapters.switched_off(self.body):
                base = self.body(**inputs).last_hidden_state
        hidden = self.body(**inputs).last_hidden_state
        if labels is None:
            return {"hidden": hidden}
        if base is None:
            return token_losses(hidden, self.head, labels, places=places)
        return held_losses(hidden, base, self.head, labels, strength=self.held_to_base, places=places)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """(…, n_vocabulary) of hidden states (…, width). Hand it a few tokens at a time: a vocabulary is large."""
        return self.head(hidden)  # type: ignore[no-any-return]

    def freeze(self, plan: FreezePlan, *, batch_norm: str = "stored") -> None:
        """As `Network.freeze`; an output layer of its own trains unless the plan freezes `head`."""
        super().freeze(plan, batch_norm=batch_norm)
        self.head.requires_grad_(HEAD not in plan.frozen)
        self.settle()

    def settle(self) -> None:
        """Hold what trains in fp32, and plain matrices that do not in the type of the computation, which a bf16 pass
        would make of them anyway."""
        held.settle(self, self.compute_dtype)
        held.give_back()


def load_language(folder: Path, *, facts: ModelFacts | None = None, pooling: str = "mean",
                  weights: Weights = Weights.PRETRAINED, dropout: float = 0.0, quantization: QuantSpec | None = None,
                  compute_dtype: torch.dtype = torch.float32, device: str = "cpu",
                  reads_only: bool = False) -> LanguageNetwork:
    """The causal language model in `folder` as a network on `device`, in eval mode.

    Arguments as of `load.load_body`; facts tell which parts several blocks use. Raises ModelError where the folder
    holds no causal language model with all its weights, or one whose logits Thaw does not reproduce.
    """
    found = architecture.read_language(folder)
    causal = load.load_model(folder, found, weights=weights, dropout=dropout, quantization=quantization,
                             compute_dtype=compute_dtype)
    if weights is Weights.FOUR_BIT:
        held.tables(causal)
    causal.eval()
    head = head_of(causal, folder.name)
    body = causal.base_model
    stack = blocks.find_stack(body)
    if facts is not None:
        stack = sharing.of_build(body, stack, facts)
    network = LanguageNetwork(causal, head=head, stack=stack, pooling=pooling, compute_dtype=compute_dtype)
    if reads_only:
        network.requires_grad_(False)
        network.settle()
    away = is_elsewhere(device)
    if weights is not Weights.FOUR_BIT:
        if away:  # a GPU then never holds all of it in fp32
            held.as_published(network, compute_dtype)
        causal.to(device)
    network.reads_no_mask = away and facts is not None and not facts.fixed_width
    return network.eval()  # type: ignore[return-value]


def is_elsewhere(device: str) -> bool:
    """Whether a network does not stay where it is read."""
    return torch.device(device).type != "cpu"


@torch.no_grad()
def head_of(causal: Any, name: str) -> LanguageHead:
    """The output layer with the scale and bound that the model's own logits show, checked on a few tokens.

    Raises ModelError where the logits are made in another way.
    """
    output = causal.get_output_embeddings()
    if not isinstance(output, nn.Linear) or causal.base_model is causal:
        raise _refused(causal, name, "Its output layer is not one matrix over the vocabulary.")
    embedding = causal.get_input_embeddings()
    tied = getattr(embedding, "weight", None) is output.weight
    cap = next((float(value) for field in CAPS if (value := getattr(causal.config, field, None))), None)
    head = LanguageHead(output, tied=tied, cap=cap)
    held.reads_any(output)
    hidden, own = _said(causal, head.vocabulary)
    raw = output(hidden).float()
    inner = own if cap is None else cap * torch.atanh((own / cap).clamp(-1 + 1e-7, 1 - 1e-7))
    head.scale = _factor(causal.config, float((inner * raw).sum() / raw.square().sum().clamp(min=1e-20)))
    made = raw.clone()
    head.finish(made)
    if not torch.isfinite(own).all() or (made - own).abs().max() > SAME * own.abs().max():
        raise _refused(causal, name, "It makes its logits in another way than one matrix, a factor and a bound.")
    return head


def _said(causal: Any, vocabulary: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(what the body hands to the output layer, the model's own logits) for a few tokens, without padding."""
    ids = torch.arange(1, 1 + CHECKED_TOKENS, device=causal.device).remainder(vocabulary).unsqueeze(0)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return causal.base_model(**inputs).last_hidden_state, causal(**inputs).logits.float()


def _factor(config: Any, measured: float) -> float:
    """The number of the configuration that the measured factor is (or one over it), which has no rounding; 1 before all
    others."""
    named = [1.0] + [float(value) for value in config.to_dict().values()
                     if isinstance(value, (int, float)) and not isinstance(value, bool) and value]
    candidates = [factor for value in named for factor in (value, 1 / value)]
    return next((factor for factor in candidates if abs(measured / factor - 1) < 1e-3), measured)


def _refused(causal: Any, name: str, why: str) -> ModelError:
    return ModelError(f"Thaw cannot train the language model {name} (a {type(causal).__name__}).", why=why,
                      remedy="Choose another causal language model (Llama, Qwen, Gemma, GPT-2 …), or use this one for "
                             "classification.")
