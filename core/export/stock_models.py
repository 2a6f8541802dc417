"""The tuned classifier as a stock class of transformers, weight by weight, tried before it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from core.errors import ThawError
from core.export import stock
from core.models.load import TIMM
from core.models.network import Network

TRIED_ROWS, TRIED_TOKENS = 3, 9
SAME = 1e-4
"""Largest difference of a logit on made-up rows, against the largest of them."""


@dataclass(frozen=True, kw_only=True)
class Stock:
    """model: of a class of transformers. why: what it has to do with the base model, behind its name. pads: whether
    rows that are filled up keep their answers."""

    model: Any
    why: str = ""
    pads: bool = True


@torch.no_grad()
def of(side: Any, classes: list[str]) -> Stock:
    """The network of a run as a stock model with these classes. Raises ThawError where none computes the same."""
    network: Network = side.network
    architecture = type(network.body).__name__
    if network.body.main_input_name == "pixel_values":  # type: ignore[comparison-overlap]
        found = _picture(side, classes)
    elif architecture in stock.LIKE_BERT:
        found = _xlm(network, classes)
    else:
        found = _decoder(network, classes, _pad_id(side))
    found.model.eval()
    _try(network, found, side)
    return found


def _pad_id(side: Any) -> int:
    from core.models import tokens

    return tokens.pad_id(side.task.processor)


def _named(classes: list[str]) -> dict[str, Any]:
    return {"num_labels": len(classes), "id2label": dict(enumerate(classes)),
            "label2id": {name: number for number, name in enumerate(classes)},
            "problem_type": "single_label_classification"}


# -- BERT's family -----------------------------------------------------------------------------------------------------


def _xlm(network: Network, classes: list[str]) -> Stock:
    """As XLMForSequenceClassification, whose blocks are BERT's and whose head is one linear layer on the mean (or the
    first) of the last states; BERT's own has another layer and a tanh before its head."""
    from transformers import XLMConfig, XLMForSequenceClassification

    body: Any = network.body
    config, mean = body.config, network.pooling == "mean"
    width, layers = _read(config, "hidden_size", "dim"), _read(config, "num_hidden_layers", "n_layers")
    act = _read(config, "hidden_act", "activation")
    inner = _read(config, "intermediate_size", "hidden_dim")
    words = body.embeddings.word_embeddings.weight
    places = _places(body)
    if act not in ("gelu", "relu") or inner > 4 * width or getattr(config, "is_decoder", False):
        raise _refused(body, f"It has an activation ({act}) or width ({inner}) that the class XLM has not.")
    model: Any = XLMForSequenceClassification(XLMConfig(
        vocab_size=len(words), emb_dim=width, n_layers=layers, n_heads=_read(config, "num_attention_heads", "n_heads"),
        dropout=0.0, attention_dropout=0.0, gelu_activation=act == "gelu", max_position_embeddings=len(places),
        layer_norm_eps=getattr(config, "layer_norm_eps", 1e-12), summary_type="mean" if mean else "first",
        summary_use_proj=True, summary_proj_to_labels=True, summary_first_dropout=0.0, use_lang_emb=False,
        pad_token_id=config.pad_token_id or 0, dtype="float32", **_named(classes)))
    inside = model.transformer
    inside.embeddings.weight.copy_(words)
    inside.position_embeddings.weight.copy_(places)
    inside.layer_norm_emb.load_state_dict(body.embeddings.LayerNorm.state_dict())
    for number, block in enumerate(_blocks(body)):
        _fill_block(inside, number, block, width)
    model.sequence_summary.summary.load_state_dict(network.head.state_dict())
    return Stock(model=model, pads=not mean, why=f": a {type(body).__name__} is one weight by weight, and that class "
                                                 "has the run's pooling and a plain linear head")


def _read(config: Any, *names: str) -> Any:
    return next(getattr(config, name) for name in names if hasattr(config, name))


def _places(body: Any) -> torch.Tensor:
    """(n_places, width): what is added to the tokens of a text, place by place."""
    table = body.embeddings.position_embeddings.weight
    if "Roberta" in type(body).__name__ or "Camembert" in type(body).__name__:
        table = table[body.config.pad_token_id + 1:]  # theirs begin behind the padding's
    kinds = getattr(body.embeddings, "token_type_embeddings", None)
    return table if kinds is None else table + kinds.weight[0]


def _blocks(body: Any) -> list[dict[str, Any]]:
    """The layers of each block, by XLM's names."""
    if hasattr(body, "transformer"):  # DistilBERT
        return [{"q_lin": b.attention.q_lin, "k_lin": b.attention.k_lin, "v_lin": b.attention.v_lin,
                 "out_lin": b.attention.out_lin, "norm1": b.sa_layer_norm, "lin1": b.ffn.lin1, "lin2": b.ffn.lin2,
                 "norm2": b.output_layer_norm} for b in body.transformer.layer]
    return [{"q_lin": b.attention.self.query, "k_lin": b.attention.self.key, "v_lin": b.attention.self.value,
             "out_lin": b.attention.output.dense, "norm1": b.attention.output.LayerNorm, "lin1": b.intermediate.dense,
             "lin2": b.output.dense, "norm2": b.output.LayerNorm} for b in body.encoder.layer]


def _fill_block(inside: Any, number: int, block: dict[str, Any], width: int) -> None:
    for name in ("q_lin", "k_lin", "v_lin", "out_lin"):
        getattr(inside.attentions[number], name).load_state_dict(block[name].state_dict())
    inside.layer_norm1[number].load_state_dict(block["norm1"].state_dict())
    inside.layer_norm2[number].load_state_dict(block["norm2"].state_dict())
    feed, inner = inside.ffns[number], len(block["lin1"].weight)
    for layer in (feed.lin1, feed.lin2):  # what XLM has more stays zero, and adds nothing
        layer.weight.zero_()
        layer.bias.zero_()
    feed.lin1.weight[:inner].copy_(block["lin1"].weight)
    feed.lin1.bias[:inner].copy_(block["lin1"].bias)
    feed.lin2.weight[:, :inner].copy_(block["lin2"].weight)
    feed.lin2.bias.copy_(block["lin2"].bias)


# -- others ------------------------------------------------------------------------------------------------------------


def _decoder(network: Network, classes: list[str], pad_id: int) -> Stock:
    """As the model's own classifier, which has no bias: the last norm's takes it up, since a linear head on a shifted
    feature gives shifted logits."""
    from transformers import AutoModelForSequenceClassification

    body: Any = network.body
    config = _config(body, classes)
    config.pad_token_id = pad_id
    model: Any = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    model.base_model.load_state_dict(body.state_dict())
    head: Any = network.head
    layer = next((m for name, m in model.named_children() if isinstance(m, torch.nn.Linear)), None)
    norm = _last_norm(model.base_model)
    if layer is None or norm is None or layer.bias is not None:
        raise _refused(body, "Its own classifier has another head.")
    layer.weight.copy_(head.weight)
    norm.bias.add_((torch.linalg.pinv(head.weight.double()) @ head.bias.double()).float())
    return Stock(model=model, why=": its classifier has no bias, so the run's is in the last norm")


def _last_norm(body: Any) -> Any:
    found = [module for module in body.modules() if isinstance(module, torch.nn.LayerNorm) and module.bias is not None]
    return found[-1] if found else None


def _picture(side: Any, classes: list[str]) -> Stock:
    """As the model's own picture classifier: its last linear layer is the run's head, with zeros for what else it
    reads."""
    from transformers import AutoModelForImageClassification

    network: Network = side.network
    body: Any = network.body
    if side.task.processor.channels != 3:
        raise _refused(body, "It reads grey pictures, which pipeline() does not make.")
    try:
        model: Any = AutoModelForImageClassification.from_config(_config(body, classes), dtype=torch.float32)
        if body.config.model_type == TIMM:
            inside, prefix = model.timm_model, body.timm_model.state_dict()
        else:
            inside, prefix = model.base_model, body.state_dict()
        inside.load_state_dict(prefix, strict=False)
        layer = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
        weight, bias = network.head.weight, network.head.bias
        layer.weight.zero_()
        layer.weight[:, :weight.shape[1]].copy_(weight)  # type: ignore[index, arg-type]
        layer.bias.copy_(bias)
    except (ValueError, RuntimeError, AttributeError, IndexError, TypeError) as error:
        raise _refused(body, str(error).strip().split("\n")[0][:160]) from error
    return Stock(model=model)


def _config(body: Any, classes: list[str]) -> Any:
    """The body's, with the run's classes."""
    config = type(body.config).from_dict(body.config.to_dict())
    for name, value in _named(classes).items():
        setattr(config, name, value)
    config.dtype = "float32"
    if config.model_type == TIMM:
        config.do_pooling = True
        config.num_classes, config.label_names = len(classes), list(classes)  # what its own file keeps of them
    return config


# -- trial -------------------------------------------------------------------------------------------------------------


def _try(network: Network, found: Stock, side: Any) -> None:
    """Raises ThawError where the stock model says something else than the network of made-up rows."""
    random = torch.Generator().manual_seed(0)
    if network.body.main_input_name == "pixel_values":  # type: ignore[comparison-overlap]
        height, width = side.task.processor.size
        batches = [{"pixel_values": torch.randn(TRIED_ROWS, 3, height, width, generator=random)}]
    else:
        most = int(network.body.get_input_embeddings().weight.shape[0])  # type: ignore[operator, union-attr]
        batches = []
        for row in range(TRIED_ROWS):
            ids = torch.randint(1, most, (1, TRIED_TOKENS + row), generator=random)
            batches.append({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
            if found.pads:
                filled = torch.full((1, 4), _pad_id(side))
                batches.append({"input_ids": torch.cat([ids, filled], 1),
                                "attention_mask": torch.cat([torch.ones_like(ids), torch.zeros_like(filled)], 1)})
    for batch in batches:
        own = network(**batch)["logits"]
        other = found.model(**batch).logits.float()
        if other.shape != own.shape or not (other - own).abs().max() <= SAME * own.abs().max().clamp(min=1.0):
            raise _refused(network.body, "The class of transformers for it was tried, and pools or computes otherwise.")


def _refused(body: Any, why: str) -> ThawError:
    return ThawError(f"No stock classifier of transformers computes what this run's {type(body).__name__} does.",
                     why=why,
                     remedy="Export it as merged: Thaw's own folder, whose script keeps body, pooling and head.")
