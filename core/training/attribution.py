"""Integrated gradients of a classifier's answer, and the same under randomised weights.

The empty input is a text of padding tokens only (special tokens stay), or a picture in the grey that the model's
normalisation turns to zero. Shares are sums over a token's embedding, or over the pixels of a cell.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from core.domain.attribution import Attribution
from core.domain.dataset import Content
from core.errors import DataError, ThawError
from core.features import extract
from core.models import tokens
from core.training.artifact import LoadedModel

STEPS = 32
"""Points on the way from the empty input."""
AT_ONCE = 8
"""Points in a pass."""
CELLS = 14
"""Of a picture, a side."""
FEWEST = 4
"""Parts of an input that a rank correlation says something about."""


def of(model: LoadedModel, content: str, *, check: bool = False) -> Attribution:
    """What the answer to a text or a picture (its path) rests on. check: also under randomised weights, which are put
    back to the last bit. Raises DataError for models whose embeddings cannot be told apart."""
    network = model.network
    network.eval()
    with model.inputs([content]) as inputs:
        batch = extract.to_device(inputs.encoded.batch(np.arange(1)), network.device)
    with torch.no_grad():
        logits = network(**batch)["logits"][0].float()
    target = int(logits.argmax())
    picture = model.task.card.content is Content.PICTURE
    try:
        share_of = _cells if picture else _tokens
        shares, difference, error = share_of(model, batch, target)
        said: dict[str, Any] = {}
        if check:
            said = {"checked": True}
            if all(parameter.is_floating_point() for parameter in network.parameters()):
                with randomised(network):
                    other, _, _ = share_of(model, batch, target)
                said["random_rank"] = rank(shares, other)
            else:
                said["unchecked"] = "Weights held in 4 bits cannot be drawn anew."
    except ThawError:
        raise
    except (RuntimeError, AssertionError, AttributeError, NotImplementedError, TypeError, ValueError) as problem:
        if isinstance(problem, torch.OutOfMemoryError):
            raise
        raise DataError("What this answer rests on cannot be said for this model.", why=str(problem)[:160],
                        remedy="Ask a model of another architecture.") from problem
    if picture:
        said |= {"columns": shares.shape[1], "picture": _png(batch["pixel_values"])}
    else:
        said |= {"pieces": _pieces(model, batch)}
        shares = shares[_own(model, batch)]
    label = str(model.task.samples({"logits": logits.cpu().numpy()[None]})[0]["label"])
    return Attribution(label=label, shares=tuple(map(float, shares.ravel())), difference=difference, error=error,
                       **said)


def rank(shares: NDArray[np.float32], other: NDArray[np.float32]) -> float | None:
    """Spearman's correlation of the sizes of the shares; None with fewer than four parts that have one."""
    first, second = np.abs(shares).ravel(), np.abs(other).ravel()
    counts = (first > 0) | (second > 0)  # what stays the same in the empty input has none
    if counts.sum() < FEWEST:
        return None
    found = float(stats.spearmanr(first[counts], second[counts]).statistic)
    return None if np.isnan(found) else found


@contextmanager
def randomised(network: torch.nn.Module, seed: int = 0) -> Iterator[None]:
    """In the block every weight is drawn anew, normal with the mean and spread of its tensor; then all are as before,
    to the last bit. A second copy of the weights is held meanwhile. None may be held in 4 bits."""
    own = list(network.parameters())
    kept: list[torch.Tensor] = []
    draws = torch.Generator().manual_seed(seed)
    try:
        with torch.no_grad():
            for parameter in own:
                kept.append(parameter.detach().clone())
                spread, mean = parameter.float().std(correction=0).item(), parameter.float().mean().item()
                parameter.copy_(torch.randn(parameter.shape, generator=draws) * spread + mean)
        yield
    finally:
        with torch.no_grad():
            for parameter, before in zip(own, kept, strict=False):
                parameter.copy_(before)


# -- shares ------------------------------------------------------------------------------------------------------------


def _tokens(model: LoadedModel, batch: dict[str, torch.Tensor],
            target: int) -> tuple[NDArray[np.float32], float, float]:
    """(share of each token read, difference, error)."""
    from captum.attr import LayerIntegratedGradients

    network, ids = model.network, batch["input_ids"]
    empty = torch.where(torch.from_numpy(_own(model, batch)).to(ids.device)[None],
                        torch.full_like(ids, tokens.pad_id(model.task.processor)), ids)  # type: ignore[attr-defined]
    rest = {name: value for name, value in batch.items() if name != "input_ids"}

    def score(given: torch.Tensor) -> torch.Tensor:
        beside = {name: value.expand(len(given), *value.shape[1:]) for name, value in rest.items()}
        return network(input_ids=given, **beside)["logits"][:, target]

    embeddings = network.body.get_input_embeddings()  # type: ignore[operator]
    found = LayerIntegratedGradients(score, embeddings).attribute(
        ids, baselines=empty, n_steps=STEPS, internal_batch_size=AT_ONCE)
    shares = found[0].detach().float().sum(-1).cpu().numpy()
    return shares, *_missed(score, ids, empty, float(shares.sum()))


def _cells(model: LoadedModel, batch: dict[str, torch.Tensor],
           target: int) -> tuple[NDArray[np.float32], float, float]:
    """(share of each cell, (n_rows, n_columns), difference, error)."""
    from captum.attr import IntegratedGradients

    network, pixels = model.network, batch["pixel_values"]
    empty = torch.zeros_like(pixels)

    def score(given: torch.Tensor) -> torch.Tensor:
        return network(pixel_values=given)["logits"][:, target]

    found = IntegratedGradients(score).attribute(pixels, baselines=empty, n_steps=STEPS, internal_batch_size=AT_ONCE)
    each = found[0].detach().float().sum(0).cpu().numpy()
    rows, columns = (np.array_split(np.arange(side), min(CELLS, side)) for side in each.shape)
    shares = np.array([[each[np.ix_(row, column)].sum() for column in columns] for row in rows], np.float32)
    return shares, *_missed(score, pixels, empty, float(shares.sum()))


@torch.no_grad()
def _missed(score: Any, given: torch.Tensor, empty: torch.Tensor, total: float) -> tuple[float, float]:
    """(difference of the scores, how far the sum of the shares misses it)."""
    difference = float(score(given)[0]) - float(score(empty)[0])
    return difference, abs(total - difference)


def _own(model: LoadedModel, batch: dict[str, torch.Tensor]) -> NDArray[np.bool_]:
    """Which tokens are the text's: neither special nor padding."""
    special = set(model.task.processor.all_special_ids) - {model.task.processor.unk_token_id}  # type: ignore[attr-defined]
    return np.array([int(id) not in special for id in batch["input_ids"][0]])


def _pieces(model: LoadedModel, batch: dict[str, torch.Tensor]) -> tuple[str, ...]:
    """The tokens of the text as they are written."""
    names = model.task.processor.convert_ids_to_tokens(  # type: ignore[attr-defined]
        batch["input_ids"][0][torch.from_numpy(_own(model, batch))].tolist())
    return tuple(str(name) for name in names)


def _png(pixels: torch.Tensor) -> str:
    values = pixels[0].float().cpu().numpy()
    low, high = values.min(), values.max()
    levels = ((values - low) / max(float(high - low), 1e-6) * 255).astype(np.uint8).transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels).convert("RGB").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
