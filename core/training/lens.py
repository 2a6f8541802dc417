"""What each block of a language model says, before and after training, measured once for a finished run and kept in its
folder for the Features page.

One network at a time is held in memory; of the base model, the final states at the measured tokens and its output
layer stay while the tuned model is read.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from core.analysis import lens_files
from core.domain import codec
from core.features import lens
from core.features.extract import autocast
from core.features.lens import Head, Places, Said, States, Tail
from core.models.network import Network
from core.planning.lens_cost import FLOOR_ROWS
from core.shift import lens as arithmetic
from core.training.lens_places import Load, Spots, Subject, find, word

BATCH_ROWS = 4
WORDS = 20
RANDOM = 5
"""Random directions beside a real one."""


def ensure(subject: Subject) -> None:
    """Write `features/lens.json` and its arrays in the run folder unless they are there. Raises NotFoundError where no
    row of the sample teaches a token."""
    if lens_files.there(subject.where.run_dir):
        return
    document, arrays = _measured(subject)
    if not subject.observer.should_stop():
        lens_files.save(subject.where.run_dir, document, arrays)


def _measured(subject: Subject) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    # 1. The base model, and what rounding alone changes of it.
    spots = find(subject)
    base = _read(subject, spots, subject.base, "base model")
    gc.collect()
    floor = _floor(subject, spots, base)
    gc.collect()

    # 2. The tuned model, and both compared at every token.
    tuned = _read(subject, spots, subject.tuned, "tuned model")
    with autocast(subject.precision, tuned.device):
        changed = lens.compare(base.final.to(tuned.device), lens.cast_once(base.head, subject.precision),
                               tuned.final.to(tuned.device), lens.cast_once(tuned.head, subject.precision),
                               torch.from_numpy(spots.truth).to(tuned.device))

    # 3. What is written.
    left, directions = _left(subject, base, tuned)
    document = {"precision": subject.precision, "vocabulary": tuned.vocabulary,
                "rows": _rows(subject, spots, changed), "blocks": _averages(subject, spots, base, tuned),
                "kl": _kl(subject, spots, changed, floor), "left": left}
    arrays = _arrays(spots, base, tuned, changed, floor) | {"left": directions}
    document["words"] = _words(subject.task.processor, arrays, left)
    return document, arrays


@dataclass(frozen=True, kw_only=True)
class _Side:
    """One model, read; of the model itself no more than its ends is held."""

    final: torch.Tensor
    """Final states at all tokens, on the CPU."""
    head: Head
    tail: Tail | None
    blocks: dict[str, Said]
    """At the tokens of `Spots.read`."""
    neutral: dict[str, np.ndarray]
    """Activations on neutral text, (n_texts, n_dims) a block."""
    vocabulary: int
    device: torch.device


def _read(subject: Subject, spots: Spots, load: Load, what: str) -> _Side:
    """Every number of one model: its blocks at the tokens that are read, its final states at all."""
    network = load()
    network.eval()
    read = _Reading(network, subject, spots)
    final, blocks = [], []
    for start in range(0, len(spots.rows), BATCH_ROWS):
        states = read.states(start, subject.precision)
        final.append(states[network.stack.names[-1]].cpu())
        blocks.append(read.said(states, start))
        subject.observer.progress(min(start + BATCH_ROWS, len(spots.rows)), len(spots.rows), "rows",
                                  f"the words of every block, {what}")
    neutral = lens.on_neutral_text(network, subject.task.processor, precision=subject.precision)
    return _Side(final=torch.cat(final), head=network.head, neutral=neutral, tail=read.tail, device=network.device,
                 vocabulary=lens.width_of_vocabulary(network.head, states[network.stack.names[-1]]),
                 blocks={name: _joined([part[name] for part in blocks]) for name in blocks[0]})


class _Reading:
    """A network at the measured tokens, some rows at a time."""

    def __init__(self, network: Network, subject: Subject, spots: Spots) -> None:
        self.network, self.subject, self.spots = network, subject, spots
        self.head = lens.cast_once(network.head, subject.precision)
        self.tail = lens.tail_of(network, subject.encoded.batch(spots.rows[:1]), precision=subject.precision)

    def states(self, start: int, precision: str) -> States:
        """Of every block, at all measured tokens of the rows from `start` on."""
        here = self.spots.of(start, BATCH_ROWS)
        places = Places(torch.from_numpy(self.spots.row[here] - start), torch.from_numpy(self.spots.token[here] - 1))
        inputs = self.subject.encoded.batch(self.spots.rows[start:start + BATCH_ROWS])
        if not self.subject.where.facts.fixed_width:  # what comes behind the last measured token plays no part
            inputs = {name: tensor[:, :int(self.spots.token[here].max())] for name, tensor in inputs.items()}
        return lens.states_at(self.network, inputs, places, precision=precision)

    def said(self, states: States, start: int) -> dict[str, Said]:
        """What every block says at those of them that are read; without a tail only the last, which needs none."""
        here = self.spots.of(start, BATCH_ROWS)
        chosen = torch.from_numpy(np.flatnonzero(np.isin(here, self.spots.read))).to(self.network.device)
        part = np.isin(self.spots.read, here)
        truth, null = (torch.from_numpy(tokens[part]).to(self.network.device)
                       for tokens in (self.spots.truth[self.spots.read], self.spots.null))
        last, tail = self.network.stack.names[-1], self.tail
        with torch.no_grad(), autocast(self.subject.precision, self.network.device):
            ready = {name: values[chosen] if name == last or tail is None else tail(values[chosen])
                     for name, values in states.items() if name == last or tail is not None}
            return lens.read_blocks({name: values.to(ready[last].dtype) for name, values in ready.items()}, self.head,
                                    truth, null)


def _joined(parts: list[Said]) -> Said:
    return Said(**{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Said)})


def _floor(subject: Subject, spots: Spots, base: _Side) -> np.ndarray | None:
    """KL from the base model, at each token, of the model that differs from it by rounding alone; NaN where it was not
    measured."""
    if subject.floor is None:
        return None
    network = subject.floor.load()
    network.eval()
    read = _Reading(network, subject, spots)

    def head_in(head: Head, precision: str) -> Head:
        def said(hidden: torch.Tensor) -> torch.Tensor:
            with autocast(precision, network.device):
                return head(hidden)

        return said

    out = np.full(len(spots.truth), np.nan)
    for start in range(0, len(spots.rows) if subject.floor.source == "4-bit" else FLOOR_ROWS, BATCH_ROWS):
        here = spots.of(start, BATCH_ROWS)
        if not len(here):
            break
        rounded = read.states(start, subject.floor.precision)[network.stack.names[-1]]
        out[here] = lens.compare(base.final[here].to(network.device), head_in(base.head, subject.precision), rounded,
                                 head_in(network.head, subject.floor.precision),
                                 torch.from_numpy(spots.truth[here]).to(network.device)).kl
    return out


def _texts(subject: Subject, spots: Spots) -> np.ndarray:
    """Of each measured token the group of rows that is drawn as one, or its row."""
    groups = subject.rows.groups
    return (spots.rows if groups is None else groups[spots.rows])[spots.row]


def _averages(subject: Subject, spots: Spots, base: _Side, tuned: _Side) -> list[dict[str, Any]]:
    """Over rows: how probable each block finds the true token, and at which place; and the same of the token that is
    true elsewhere."""
    counted = spots.averaged[spots.read]
    texts = _texts(subject, spots)[spots.read][counted]

    def numbers(said: Said) -> dict[str, Any]:
        return {"log_probability": codec.to_json(arithmetic.mean(said.log_probability[counted], texts)),
                "rank": codec.to_json(arithmetic.median(said.rank[counted], texts)),
                "null_log_probability": float(said.null_log_probability[counted].mean()),
                "null_rank": float(np.median(said.null_rank[counted]))}

    return [{"name": name, "base": numbers(base.blocks[name]), "tuned": numbers(tuned.blocks[name])}
            for name in base.blocks if name in tuned.blocks]


def _kl(subject: Subject, spots: Spots, changed: lens.Changed, floor: np.ndarray | None) -> dict[str, Any]:
    """KL(tuned ‖ base) over all measured tokens, and what rounding and chance would make of it."""
    rounding = None
    if subject.floor is not None and floor is not None:
        known = floor[np.isfinite(floor)]
        rounding = {"source": subject.floor.source, "mean": float(known.mean()),
                    "high": float(np.quantile(known, 0.95))}
    return {"mean": codec.to_json(arithmetic.mean(changed.kl, _texts(subject, spots))),
            "shuffled": float(changed.kl_shuffled.mean()), "floor": rounding}


def _left(subject: Subject, base: _Side, tuned: _Side) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Of every block, what training left on texts that it is not about, and the words that this points to."""
    out, directions = [], [np.zeros((0, 1), np.float32)]
    if tuned.tail is not None:
        for name, before in base.neutral.items():
            found = arithmetic.left(before, tuned.neutral[name])
            directions.append(found.direction.astype(np.float32)[None])
            out.append({"name": name, "size": found.size, "typical": found.typical, "agreement": found.agreement,
                        **_pointed(found, tuned, tuned.tail, subject.precision)})
    return out, np.concatenate(directions[1:] or directions)


def _pointed(found: arithmetic.Left, tuned: _Side, tail: Tail, precision: str) -> dict[str, Any]:
    """The words of a change, how many of them both halves of the texts name, and the same of directions that nothing
    taught."""
    if not found.size:
        return {"words": [], "shared": None, "random": [], "random_shared": None, "random_highest": None}
    random = arithmetic.random_directions(found.size, len(found.direction), RANDOM)
    asked = np.stack([found.direction, *found.halves, *random]).astype(np.float32)
    ids, shares = lens.words_of(asked, tail, tuned.head, device=tuned.device, precision=precision, count=WORDS)
    own, one, two, *others = (set(line.tolist()) for line in ids)
    words = [[[int(token), float(f"{share:.4g}")] for token, share in zip(ids[i], shares[i], strict=True)]
             for i in (0, 3)]
    return {"words": words[0], "shared": len(one & two), "random": words[1],
            "random_shared": float(np.mean([len(own & other) for other in others])),
            "random_highest": float(shares[3:, 0].max())}


def _rows(subject: Subject, spots: Spots, changed: lens.Changed) -> list[dict[str, Any]]:
    """What is said of each row; `start` to `stop` are its tokens in the arrays, the first `shown` of them read at every
    block."""
    out = []
    for position, index in enumerate(spots.rows):
        here = spots.of(position, 1)
        out.append({"row_id": int(subject.rows.row_ids[index]), "start": int(here[0]), "stop": int(here[-1]) + 1,
                    "shown": int(spots.shown[here].sum()), "kl": float(changed.kl[here].mean()),
                    "change": float((changed.tuned - changed.base)[here].mean()),
                    "pieces": spots.pieces[position], "taught": spots.token[here].tolist()})
    return out


def _arrays(spots: Spots, base: _Side, tuned: _Side, changed: lens.Changed,
            floor: np.ndarray | None) -> dict[str, np.ndarray]:
    """One entry a measured token; of the blocks (n_blocks, n_shown)."""
    out = {"token": spots.truth.astype(np.int32)}
    for field in fields(lens.Changed):
        values = getattr(changed, field.name)
        out[field.name] = values.astype(np.int32 if values.dtype.kind == "i" else np.float32)
    if floor is not None:
        out["floor"] = floor.astype(np.float32)
    kept = spots.shown[spots.read]
    for key, side in (("base", base), ("tuned", tuned)):
        for field in fields(Said):
            values = np.stack([getattr(said, field.name)[kept] for said in side.blocks.values()])
            out[f"{field.name}_{key}"] = values.astype(np.int32 if values.dtype.kind == "i" else np.float32)
    return out


def _words(tokenizer: Any, arrays: dict[str, np.ndarray], left: list[dict[str, Any]]) -> dict[str, str]:
    """Every token that is named, in words."""
    named = np.unique(np.concatenate([arrays[name].ravel() for name in ("token", "rose", "fell", "top_base",
                                                                       "top_tuned")]))
    pointed = {token for block in left for key in ("words", "random") for token, _ in block[key]}
    return {str(token): word(tokenizer, int(token)) for token in sorted({*named.tolist(), *pointed})}
