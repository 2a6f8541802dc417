"""What rounding alone changes of a language model's loss: the noise floor of what a run seems to have forgotten."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from core import cache
from core.domain.device import Device
from core.domain.model import Weights
from core.domain.run import Phase
from core.metrics.documents import a_token
from core.models.language import LanguageNetwork
from core.training import artifact, panel_states, untouched
from core.training.fixed_texts import PANEL, TASK
from core.training.panel_states import Texts
from core.training.session import Session
from core.training.untouched import Known

FIFTH = 5
"""Rounding is measured on one in so many documents."""
MOST_FOR_ROUNDING = 1_500_000_000
"""Larger models are not loaded once more to see what rounding does."""


def floor(session: Session, parts: Mapping[str, Known]) -> dict[str, Any]:
    """What rounding alone changes of the loss: of a model in 4 bits, that; else another precision.

    The number is the largest change that its interval over documents allows.
    """
    four_bit = session.card.weights is Weights.FOUR_BIT
    source = "4-bit" if four_bit else "precision"
    if session.untouched_weights is Weights.FOUR_BIT:  # nothing was rounded since
        return {}
    if not four_bit and (session.facts.parameters > most_for_rounding(session.device) or session.facts.bf16_fails):
        return {}
    found: dict[str, Any] = {"from": source}
    rounded = _Rounded(session, four_bit=four_bit)
    for name in (PANEL, TASK):
        if name not in parts:
            continue
        own = parts[name]
        texts = own.texts if four_bit else _one_in(own.texts, FIFTH)
        other = rounded.losses(name, texts)
        changes = _changes(own, texts, other)
        if name == TASK:
            found["target"] = _largest(changes, TASK)
        else:
            found["panel"] = {domain: _largest(changes, domain) for domain in dict.fromkeys(own.texts.domains)}
            found["pooled"] = _largest(changes, "")
    return found


def most_for_rounding(device: Device) -> float:
    """Weights of the largest model that is read in another precision, once more and perhaps in fp32."""
    return MOST_FOR_ROUNDING if device.kind == "cpu" else min(MOST_FOR_ROUNDING, device.memory_bytes / 8)


def other_precision(precision: str, device: Device) -> str:
    """The one beside it; a GPU that has no bf16 has fp16."""
    if precision != "fp32":
        return "fp32"
    return "fp16" if device.kind == "cuda" and not device.bf16_gflops else "bf16"


def _one_in(texts: Texts, share: int) -> Texts:
    """One of so many documents of each domain, in batches of their own."""
    wanted: set[int] = set()
    for domain in dict.fromkeys(texts.domains):
        own = np.unique([document for document, name in zip(texts.documents, texts.domains, strict=True)
                         if name == domain])
        wanted |= {int(document) for document in own[::share]} | {int(document) for document in own[:2]}
    batches = []
    for batch in texts.batches:
        lines = np.flatnonzero(np.isin(texts.documents[batch.texts], list(wanted)))
        if len(lines):
            at = torch.from_numpy(lines)
            batches.append(replace(batch, inputs={name: tensor[at] for name, tensor in batch.inputs.items()},
                                   labels=batch.labels[at], texts=batch.texts[lines]))
    return replace(texts, batches=tuple(batches))


class _Rounded:
    """The untouched model in 4 bits, or in another precision; built when it is first called for."""

    def __init__(self, session: Session, *, four_bit: bool) -> None:
        self.session = session
        self.four_bit = four_bit
        self.precision = session.precision if four_bit else other_precision(session.precision, session.device)

    @functools.cached_property
    def network(self) -> LanguageNetwork:
        session = self.session
        found = session.task.build(
            session.folder, recipe=session.recipe, facts=session.facts, dropout=0.0, device=session.device.kind,
            weights=Weights.FOUR_BIT if self.four_bit else Weights.PRETRAINED,
            compute_dtype=artifact.compute_dtype(self.precision), reads_only=not self.four_bit)
        assert isinstance(found, LanguageNetwork)
        return found

    def losses(self, name: str, texts: Texts) -> np.ndarray:
        """(n_tokens,) of each token; kept for all runs."""
        spec = self.session.recipe.quantization
        folder = untouched.folder_of(self.session, name, rounded=self.precision,
                         quantised=[spec.type, spec.double] if self.four_bit else None)

        def make() -> dict[str, np.ndarray]:
            began = time.monotonic()
            self.session.enter(Phase.CACHING)
            report = self.session.report("tokens", f"what {'4 bits' if self.four_bit else 'another precision'} changes")
            found = panel_states.states(self.network, texts, precision=self.precision, report=report)
            losses = panel_states.losses(found, self.network.head, texts.truth, precision=self.precision)
            return untouched.keep(folder, {"losses": losses}, seconds=time.monotonic() - began)

        found = cache.kept(folder, lambda: cache.load_arrays(folder, ("losses",)), make)
        cache.mark_used(folder)
        return np.array(found["losses"])


def _changes(own: Known, texts: Texts, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each document that was read twice: its domain, the sum of the differences in loss, its tokens."""
    domains, after, tokens = texts.by_document(other)
    _, before, _ = own.texts.by_document(own.losses)
    numbers = np.unique(own.texts.documents[own.texts.text_of_token])
    read = np.isin(numbers, np.unique(texts.documents[texts.text_of_token]))
    return domains, after - before[read], tokens


def _largest(changes: tuple[np.ndarray, np.ndarray, np.ndarray], domain: str) -> float:
    domains, sums, tokens = changes
    own = domains == domain if domain else np.ones(len(domains), bool)
    found = a_token(sums[own], tokens[own], strata=domains[own])
    return max(abs(bound) for bound in (found.low, found.high) if np.isfinite(bound)) if np.isfinite(
        found.low) else abs(found.value)
