"""Integrated gradients of a model's answer, and the same under randomised weights, in pieces that can be ended: here of
classifiers, on what `core.training.first_token` shares for language models.

The way from the empty input to the given one is walked in stretches, each integrated by captum by itself: the integral
over the way is the sum of those over its stretches. Between two, others may have their turn, and who asked may stop.
By how much the shares of a stretch miss the change of the score over it says where the score bends: the worst stretch
is halved until the misses are small together. (Of a picture, nearly all may happen in the first hundredth of the way,
where evenly spaced points miss the sum several times over.)

The empty input is a text of padding tokens only (special tokens stay), or a picture in the grey that the model's
normalisation turns to zero. Shares are sums over a token's embedding, or over the pixels of a cell.
"""

from __future__ import annotations

import base64
import copy
import io
from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import psutil
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

EDGES = (0.0, 1 / 64, 1 / 16, 1 / 4, 1 / 2, 3 / 4, 1.0)
"""Of the stretches at first, as shares of the way from the empty input."""
POINTS = 4
"""In a stretch (Gauss-Legendre), one pass."""
ENOUGH = 0.05
"""Sum of the misses of all stretches, as a share of the difference of the scores, at which no more are halved."""
LEAST_DIFFERENCE = 0.1
"""Logits: below it the difference is no measure of what is small."""
MOST_STRETCHES = 64
"""That are integrated in all, halved ones included."""
CELLS = 14
"""Of a picture, a side."""
LARGE = 1_000_000
"""Weights of a tensor whose drawing others need not wait for."""
COPIED = 0.5
"""Of the free memory, what a copy may take."""
FEWEST = 4
"""Parts of an input that a rank correlation says something about."""


def of(model: LoadedModel, content: str, *, check: bool = False) -> Attribution:
    """What the answer to a text or a picture (its path) rests on, in one go; see `pieces`."""
    steps = pieces(model, content, check=check)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def pieces(model: LoadedModel, content: str, *, check: bool = False) -> Generator[float, None, Attribution]:
    """The same piece by piece: says how much of it is done, 0 to 1, and returns it. The model may be used by others
    between two pieces, and a generator that is closed leaves nothing behind. check: also under randomised weights.

    Raises DataError for models whose embeddings cannot be told apart.
    """
    network = model.network
    network.eval()
    with model.inputs([content]) as inputs:
        batch = extract.to_device(inputs.encoded.batch(np.arange(1)), network.device)
    with torch.no_grad():
        logits = network(**batch)["logits"][0].float()
    target = int(logits.argmax())
    picture = model.task.card.content is Content.PICTURE
    found = yield from walked(network, lambda of: _way(model, of, batch, target), check=check)
    shares, said = found.shares, found.said
    if picture:
        said |= {"columns": shares.shape[1], "picture": _png(batch["pixel_values"])}
    else:
        said |= {"pieces": _pieces(model, batch)}
        shares = shares[_own(model, batch)]
    label = str(model.task.samples({"logits": logits.cpu().numpy()[None]})[0]["label"])
    return Attribution(label=label, shares=tuple(map(float, shares.ravel())), **said)


@dataclass(frozen=True, kw_only=True, eq=False)
class Walked:
    """What came of a way."""

    shares: NDArray[np.float32]
    """As `Way.parts` gives them."""
    said: dict[str, Any]
    """`difference`, `error`, and what is known of randomised weights: fields of `Attribution`."""


def walked(network: Any, way_of: Callable[[Any], Way], *, check: bool) -> Generator[float, None, Walked]:
    """The shares of what this network makes of a way, piece by piece; see `pieces`. way_of: the way through a network,
    which for the check is a copy of this one with randomised weights. Raises DataError where there is none."""
    why_not = _undrawable(network) if check else ""
    drawn = check and not why_not
    walks = 2 if drawn else 1
    said: dict[str, Any] = {}
    try:
        way = way_of(network)
        shares = yield from _shares(way, done=lambda part: part / walks)
        with torch.no_grad():
            difference = float(way.score(way.whole)[0]) - float(way.score(way.empty)[0])
        if check:
            said = {"checked": True}
        if drawn:
            other = yield from _drawn_anew(network, done=1 / walks)
            others = yield from _shares(way_of(other), done=lambda part: (1 + part) / walks)
            said["random_rank"] = rank(shares, others)
        elif check:
            said["unchecked"] = why_not
    except ThawError:
        raise
    except (RuntimeError, AssertionError, AttributeError, NotImplementedError, TypeError, ValueError) as problem:
        if isinstance(problem, torch.OutOfMemoryError):
            raise
        raise DataError("What this answer rests on cannot be said for this model.", why=str(problem)[:160],
                        remedy="Ask a model of another architecture.") from problem
    return Walked(shares=shares, said={**said, "difference": difference,
                                       "error": abs(float(shares.sum()) - difference)})


def _undrawable(network: torch.nn.Module) -> str:
    """Why its weights cannot be drawn anew; empty where they can."""
    if not all(parameter.is_floating_point() for parameter in network.parameters()):
        return "Weights held in 4 bits cannot be drawn anew."
    held = sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
    device = next(network.parameters()).device
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    if held > COPIED * free:
        return (f"Randomised weights need a copy of the model ({held / 1e9:.1f} GB), for which there is too little "
                "free memory.")
    return ""


def rank(shares: NDArray[np.float32], other: NDArray[np.float32]) -> float | None:
    """Spearman's correlation of the sizes of the shares; None with fewer than four parts that have one."""
    first, second = np.abs(shares).ravel(), np.abs(other).ravel()
    counts = (first > 0) | (second > 0)  # what stays the same in the empty input has none
    if counts.sum() < FEWEST:
        return None
    found = float(stats.spearmanr(first[counts], second[counts]).statistic)
    return None if np.isnan(found) else found


def randomised(network: torch.nn.Module, seed: int = 0) -> Any:
    """A copy whose every weight is drawn anew, normal with the mean and spread of its tensor. None may be held in 4
    bits. A copy, since others use the network meanwhile."""
    steps = _drawn_anew(network, done=0.0, seed=seed)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def _drawn_anew(network: torch.nn.Module, *, done: float, seed: int = 0) -> Generator[float, None, Any]:
    """The same, tensor by tensor: those of a language model take seconds together."""
    other = copy.deepcopy(network)
    draws = torch.Generator().manual_seed(seed)
    for parameter in other.parameters():
        if parameter.numel() >= LARGE:
            yield done
        with torch.no_grad():
            spread, mean = parameter.float().std(correction=0).item(), parameter.float().mean().item()
            parameter.copy_(torch.randn(parameter.shape, generator=draws) * spread + mean)
    return other


# -- shares ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Way:
    """From the empty input to the given one."""

    empty: torch.Tensor
    whole: torch.Tensor
    """Pixels, `(1, channels, height, width)`, or embeddings of tokens, `(1, n_tokens, width)`."""
    score: Callable[[torch.Tensor], torch.Tensor]
    """`(n, …)` such inputs -> `(n,)` scores of the answered class."""
    parts: Callable[[torch.Tensor], NDArray[np.float32]]
    """A number for each pixel, or each number of an embedding -> a share for each part."""
    points: int = POINTS
    most: int = MOST_STRETCHES

    def at(self, share: float) -> torch.Tensor:
        """A point on it: 0 is the empty input, 1 the given one."""
        return torch.lerp(self.empty, self.whole, share)


def _way(model: LoadedModel, network: Any, batch: dict[str, torch.Tensor], target: int) -> Way:
    if "pixel_values" in batch:
        pixels = batch["pixel_values"]
        return Way(empty=torch.zeros_like(pixels), whole=pixels, parts=_cells,
                   score=lambda given: network(pixel_values=given)["logits"][:, target])
    ids, table = batch["input_ids"], network.body.get_input_embeddings()
    padding = torch.full_like(ids, tokens.pad_id(model.task.processor))  # type: ignore[attr-defined]
    empty = torch.where(torch.from_numpy(_own(model, batch)).to(ids.device)[None], padding, ids)
    rest = {name: value for name, value in batch.items() if name != "input_ids"}

    def score(given: torch.Tensor) -> torch.Tensor:
        beside = {name: value.expand(len(given), *value.shape[1:]) for name, value in rest.items()}
        handle = table.register_forward_hook(lambda *_: given)  # instead of what it makes of the ids
        try:
            return network(input_ids=ids.expand(len(given), -1), **beside)["logits"][:, target]  # type: ignore[no-any-return]
        finally:
            handle.remove()

    with torch.no_grad():
        return Way(empty=table(empty), whole=table(ids), score=score,
                   parts=lambda each: each.sum(-1).cpu().numpy())


def _shares(way: Way, *, done: Callable[[float], float]) -> Generator[float, None, NDArray[np.float32]]:
    """A share for each token that is read, `(n_tokens,)`, or for each cell of a picture, `(n_rows, n_columns)`."""
    scores = []
    for edge in EDGES:
        yield done(0.0)
        with torch.no_grad():
            scores.append(float(way.score(way.at(edge))[0]))
    enough = ENOUGH * max(abs(scores[-1] - scores[0]), LEAST_DIFFERENCE)
    todo = list(zip(pairwise(EDGES), pairwise(scores), strict=True))
    walked: list[_Stretch] = []
    used = 0
    while todo:
        yield done(used / way.most)
        walked.append(_Stretch.of(way, *todo.pop()))
        used += 1
        if not todo and used + 2 <= way.most and sum(stretch.miss for stretch in walked) > enough:
            worst = max(walked, key=lambda stretch: stretch.miss)
            walked.remove(worst)
            todo = worst.halves(way)
    return way.parts(torch.stack([stretch.shares for stretch in walked]).sum(0))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Stretch:
    ends: tuple[float, float]
    """Shares of the way."""
    scores: tuple[float, float]
    shares: torch.Tensor
    miss: float
    """How far the shares' sum misses the change of the score."""

    @staticmethod
    def of(way: Way, ends: tuple[float, float], scores: tuple[float, float]) -> _Stretch:
        from captum.attr import IntegratedGradients

        found = IntegratedGradients(way.score).attribute(way.at(ends[1]), baselines=way.at(ends[0]), n_steps=way.points)
        shares = found[0].detach().float()
        return _Stretch(ends=ends, scores=scores, shares=shares,
                        miss=abs(float(shares.sum()) - (scores[1] - scores[0])))

    def halves(self, way: Way) -> list[tuple[tuple[float, float], tuple[float, float]]]:
        """Ends and scores of both."""
        middle = sum(self.ends) / 2
        with torch.no_grad():
            score = float(way.score(way.at(middle))[0])
        return [((self.ends[0], middle), (self.scores[0], score)), ((middle, self.ends[1]), (score, self.scores[1]))]


def _cells(each: torch.Tensor) -> NDArray[np.float32]:
    pixels = each.sum(0).cpu().numpy()
    rows, columns = (np.array_split(np.arange(side), min(CELLS, side)) for side in pixels.shape)
    return np.array([[pixels[np.ix_(row, column)].sum() for column in columns] for row in rows], np.float32)


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
