"""Final states of a language model on fixed texts, and what two models make of them: losses and exact KL.

States are kept instead of probabilities: a vocabulary is a hundred times as wide, and the output layer gives them back
exactly. Two models are read in the same batches, so that a model compared with itself reads 0 to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.domain.recipe import forward_rows
from core.features.extract import autocast, to_device
from core.models.chunked_loss import IGNORED, product_type
from core.models.language import LanguageHead, LanguageNetwork

Report = Callable[[float, float | None], None]
CHUNK_BYTES = {"cpu": 160_000_000, "cuda": 400_000_000}
"""What the logits of both models, and what is made of them, may take together: 127 tokens of SmolLM2 on a CPU."""
BYTES_A_WORD = 5 * 4 + 2
"""For a token and a word of the vocabulary: both log-probabilities and three intermediate results."""
LEAST_TOKENS = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Some texts as a network takes them."""

    inputs: dict[str, torch.Tensor]
    labels: torch.Tensor
    """(n_texts, n_tokens): the tokens themselves, −100 where not counted."""
    texts: np.ndarray
    """(n_texts,): which text each line is."""

    @property
    def counted(self) -> torch.Tensor:
        """(n_texts, n_tokens) bool; the first of a line never is, as nothing stands before it."""
        found = self.labels != IGNORED
        found[:, 0] = False
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Texts:
    """Fixed texts in fixed batches. Everything by token is in the order of the batches."""

    batches: tuple[Batch, ...]
    domains: tuple[str, ...]
    """Of each text."""
    documents: np.ndarray
    """(n_texts,): texts of one document are drawn together."""

    @property
    def truth(self) -> torch.Tensor:
        """(n_tokens,): what follows each state."""
        return torch.cat([batch.labels[batch.counted] for batch in self.batches])

    @property
    def text_of_token(self) -> np.ndarray:
        """(n_tokens,): which text each token stands in."""
        return np.concatenate([batch.texts[batch.counted.nonzero()[:, 0].numpy()] for batch in self.batches])

    def by_document(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values a token -> of each document its domain, their sum, and how many: `(n_documents,)` each."""
        documents = self.documents[self.text_of_token]
        known, place = np.unique(documents, return_inverse=True)
        domain = {int(document): name for document, name in zip(self.documents, self.domains, strict=True)}
        return (np.array([domain[int(document)] for document in known]),
                np.bincount(place, weights=values.astype(np.float64)), np.bincount(place))


def encode(ids: Sequence[np.ndarray], *, domains: Sequence[str], one_by_one: bool = False) -> Texts:
    """Texts of a token each or more, every token but the first counted; like lengths in a batch, filled up behind.

    one_by_one: for models whose answers padding changes.
    """
    lengths = np.array([len(each) for each in ids])
    left, batches = np.argsort(-lengths, kind="stable"), []
    while len(left):
        rows = 1 if one_by_one else forward_rows(int(lengths[left[0]]))
        batches.append(batch_of(ids, left[:rows]))
        left = left[rows:]
    return Texts(batches=tuple(batches), domains=tuple(domains), documents=np.arange(len(ids)))


def batch_of(ids: Sequence[np.ndarray], rows: np.ndarray) -> Batch:
    """These of the texts (token ids each), filled up behind."""
    width = max(len(ids[row]) for row in rows)
    tokens, mask = torch.zeros(2, len(rows), width, dtype=torch.long).unbind()
    for line, row in enumerate(rows):
        tokens[line, :len(ids[row])] = torch.from_numpy(np.asarray(ids[row], np.int64))
        mask[line, :len(ids[row])] = 1
    return Batch(inputs={"input_ids": tokens, "attention_mask": mask}, texts=np.asarray(rows),
                 labels=tokens.masked_fill(mask == 0, IGNORED))


def no_report(done: float, total: float | None) -> None:
    """For callers that show no progress."""


@torch.no_grad()
def states(network: LanguageNetwork, texts: Texts, *, precision: str, report: Report = no_report) -> torch.Tensor:
    """(n_tokens, width): the final state before each counted token, on the CPU, in the type in which the output layer
    takes it. Modes and random state are left as they were."""
    was_training, random = network.training, torch.get_rng_state()
    network.eval()
    found, done, whole = [], 0, len(texts.text_of_token)
    for batch in texts.batches:
        rows, tokens = batch.counted.nonzero(as_tuple=True)
        with autocast(precision, network.device):
            hidden = network(**to_device(batch.inputs, network.device))["hidden"]
            kind = product_type(hidden, network.head.weight)
        found.append(hidden[rows.to(hidden.device), tokens.to(hidden.device) - 1].to(kind).cpu())
        done += len(rows)
        report(done, whole)
    network.train(was_training)
    torch.set_rng_state(random)
    return torch.cat(found)


@torch.no_grad()
def losses(found: torch.Tensor, head: LanguageHead, truth: torch.Tensor, *, precision: str) -> np.ndarray:
    """(n_tokens,) nats that each token costs. found: of `states`."""
    device, out = head.weight.device, []
    for part in _chunks(len(found), head):
        with autocast(precision, device):
            said = head(found[part].to(device)).float().log_softmax(-1)
        out.append(-said.gather(-1, truth[part, None].to(device))[:, 0].cpu())
    return torch.cat(out).numpy() if out else np.zeros(0, np.float32)


@torch.no_grad()
def compare(base: torch.Tensor, base_head: LanguageHead, tuned: torch.Tensor, tuned_head: LanguageHead,
            truth: torch.Tensor, *, precision: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(losses of the base model, of the tuned one, KL(tuned ‖ base)), `(n_tokens,)` each, in nats.

    base, tuned: of `states` on the same texts. Exact: over the whole vocabulary, some tokens at a time.
    """
    device, columns = tuned_head.weight.device, []
    for part in _chunks(len(base), tuned_head):
        at = truth[part, None].to(device)
        with autocast(precision, device):
            before, after = (head(found[part].to(device)).float().log_softmax(-1)
                             for head, found in ((base_head, base), (tuned_head, tuned)))
        kl = (after.exp() * (after - before)).sum(-1)
        columns.append([(-before.gather(-1, at))[:, 0].cpu(), (-after.gather(-1, at))[:, 0].cpu(), kl.cpu()])
    before, after, kl = (torch.cat(column).numpy() for column in zip(*columns, strict=True))
    return before, after, kl


def _chunks(count: int, head: LanguageHead) -> list[slice]:
    room = CHUNK_BYTES.get(head.weight.device.type, CHUNK_BYTES["cpu"])
    size = max(LEAST_TOKENS, room // (BYTES_A_WORD * head.vocabulary))
    return [slice(start, start + size) for start in range(0, count, size)]


# -- on disk -----------------------------------------------------------------------------------------------------------


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """Bit by bit; numpy has no bf16."""
    plain = tensor.detach().cpu().contiguous()
    return plain.view(torch.int16).numpy() if plain.dtype == torch.bfloat16 else plain.numpy()


def from_array(array: np.ndarray) -> torch.Tensor:
    """The inverse."""
    found = torch.from_numpy(np.array(array))
    return found.view(torch.bfloat16) if found.dtype == torch.int16 else found


def head_arrays(head: LanguageHead) -> dict[str, np.ndarray]:
    """An output layer as arrays, in 16 bits where it loses nothing by it."""
    narrow = head.weight.detach().to(torch.bfloat16)
    same = torch.equal(narrow.to(head.weight.dtype), head.weight.detach())
    found = {"weight": to_array(narrow if same else head.weight),
             "shape": np.array([head.scale, np.nan if head.cap is None else head.cap])}
    return found if head.bias is None else {**found, "bias": to_array(head.bias)}


def head_of(arrays: Any, device: torch.device) -> LanguageHead:
    """The inverse."""
    weight = from_array(arrays["weight"]).to(device)
    bias = from_array(arrays["bias"]).to(device) if "bias" in arrays else None
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.weight = torch.nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        layer.bias = torch.nn.Parameter(bias, requires_grad=False)
    scale, cap = (float(value) for value in arrays["shape"])
    return LanguageHead(layer, tied=True, scale=scale, cap=None if np.isnan(cap) else cap)
