"""What each block of a run's language model says, before and after training, as the Features page asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.domain import codec
from core.domain.run import Interval
from core.shift import lens as arithmetic


@dataclass(frozen=True, kw_only=True)
class BlockWords:
    """What one block says on average over rows, on one side."""

    log_probability: Interval
    """Of the true token, in nats."""
    rank: Interval
    """Median place of the true token, 1 = first."""
    null_log_probability: float
    """The same of the token that is true elsewhere: shuffled pairs."""
    null_rank: float


@dataclass(frozen=True, kw_only=True)
class Block:
    """Both sides of one block."""

    name: str
    base: BlockWords
    tuned: BlockWords


@dataclass(frozen=True, kw_only=True)
class Floor:
    """KL that rounding alone makes."""

    source: str
    """`4-bit` or `precision`."""
    mean: float
    high: float
    """That 95 % of the tokens stay below."""


@dataclass(frozen=True, kw_only=True)
class LensRow:
    """One row, at its first measured tokens."""

    row_id: int
    start: int
    stop: int
    """Its tokens in the arrays."""
    shown: int
    """Of those, the first so many were read at every block."""
    kl: float
    """Mean KL(tuned ‖ base) of its tokens, in nats."""
    change: float
    """Mean change of the true tokens' log-probability."""
    pieces: tuple[str, ...] = field(repr=False)
    """Its tokens in words, up to the last measured one."""
    taught: tuple[int, ...] = field(repr=False)
    """Places of the measured tokens among the pieces."""


@dataclass(frozen=True, kw_only=True)
class LeftBlock:
    """What training left in one block on texts that it is not about."""

    name: str
    size: float
    typical: float
    """Norm of a typical activation there."""
    agreement: float | None
    """Cosine between two halves of the texts; None where nothing changed."""
    words: tuple[tuple[str, float], ...]
    """(token, probability), likeliest first."""
    shared: int | None
    """How many words of one half of the texts the other half names, too."""
    random: tuple[tuple[str, float], ...]
    """Words of a random direction of the same size."""
    random_shared: float | None
    """How many of a random direction's words are among these, on average."""
    random_highest: float | None
    """Highest probability that a random direction gave a word."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """Every block at some tokens of a row, one side; `(n_blocks, n_tokens)` each."""

    top: NDArray[np.str_]
    rank: NDArray[np.int32]
    probability: NDArray[np.float64]
    """Of the true token."""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """One token whose probability changed."""

    token: str
    before: float
    after: float
    context: str
    """The text before it."""
    true: bool
    """Whether it is what stands there."""


@dataclass(frozen=True, kw_only=True)
class Lens:
    """All of it. Arrays have one entry a measured token unless they say otherwise."""

    precision: str
    vocabulary: int
    """Tokens that could be said."""
    rows: tuple[LensRow, ...]
    blocks: tuple[Block, ...]
    """Those that could be read: all, or the last alone."""
    kl: Interval
    kl_shuffled: float
    """Mean KL between the two models at different tokens."""
    floor: Floor | None
    left: tuple[LeftBlock, ...]
    words: Mapping[int, str] = field(repr=False)
    arrays: Mapping[str, NDArray[Any]] = field(repr=False)

    @property
    def shown(self) -> tuple[LensRow, ...]:
        """The rows that were read at every block."""
        return tuple(row for row in self.rows if row.shown)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the blocks that could be read."""
        return tuple(block.name for block in self.blocks)

    def to_json(self) -> dict[str, Any]:
        """Every number but those of single rows and tokens, as plain JSON values."""
        return {"precision": self.precision, "rows": len(self.rows), "kl": codec.to_json(self.kl),
                "kl_shuffled": self.kl_shuffled, "floor": codec.to_json(self.floor),
                "blocks": codec.to_json(self.blocks), "left": codec.to_json(self.left)}

    def tokens(self, row: LensRow) -> list[str]:
        """The measured tokens of a row in words."""
        return [row.pieces[at] for at in row.taught]

    def said(self, row: LensRow, side: str, part: slice) -> Said:
        """What every block says at some of the tokens of a row that were read. side: `base` or `tuned`."""
        columns = self._columns(row)[part]
        top = np.vectorize(lambda token: self.words.get(int(token), "?"), otypes=[str])(
            self.arrays[f"top_{side}"][:, columns])
        return Said(top=top, rank=self.arrays[f"rank_{side}"][:, columns],
                    probability=np.exp(self.arrays[f"log_probability_{side}"][:, columns].astype(np.float64)))

    def averages(self, row: LensRow | None = None) -> tuple[Block, ...]:
        """What every block says on average over rows, or over the tokens of one row that were read at every block."""
        if row is None:
            return self.blocks
        columns = self._columns(row)
        tokens = np.arange(len(columns))
        return tuple(Block(name=name, **{side: self._average(block, side, columns, tokens)
                                         for side in ("base", "tuned")}) for block, name in enumerate(self.names))

    def _columns(self, row: LensRow) -> NDArray[np.int64]:
        """Where the tokens of a row are in the arrays of blocks."""
        before = sum(other.shown for other in self.rows[:self.rows.index(row)])
        return np.arange(before, before + row.shown)

    def _average(self, block: int, side: str, columns: NDArray[np.int64], tokens: NDArray[np.int64]) -> BlockWords:
        def at(name: str) -> NDArray[Any]:
            return self.arrays[f"{name}_{side}"][block, columns]

        return BlockWords(log_probability=arithmetic.mean(at("log_probability"), tokens),
                          rank=arithmetic.median(at("rank"), tokens), null_rank=float(np.median(at("null_rank"))),
                          null_log_probability=float(at("null_log_probability").mean()))

    def of(self, row: LensRow, name: str) -> NDArray[Any]:
        """An array's entries of one row."""
        return self.arrays[name][row.start:row.stop]

    def moved(self, row: LensRow, *, rose: bool, most: int = 10) -> tuple[Moved, ...]:
        """The tokens whose probability rose (or fell) most somewhere in a row, most first."""
        kind = "rose" if rose else "fell"
        ids, before, after, truth = (self.of(row, name) for name in (kind, f"{kind}_from", f"{kind}_to", "token"))
        change = after - before if rose else before - after
        order = [int(i) for i in np.argsort(-change, kind="stable") if change[i] > 0][:most]
        return tuple(Moved(token=self.words.get(int(ids[i]), "?"), before=float(before[i]), after=float(after[i]),
                           context="".join(row.pieces[max(0, row.taught[i] - 8):row.taught[i]]),
                           true=bool(ids[i] == truth[i])) for i in order)


@dataclass(frozen=True, kw_only=True)
class OtherSeed:
    """A second seed of the same arm: what two trainings that differ by chance alone make of the same tokens."""

    between: float
    """Typical difference of a true token's log-probability between the seeds, in nats."""
    change: float
    """Typical change from the base model, of both."""
    tokens: int
    agreement: tuple[float | None, ...]
    """A block: cosine between what both left on neutral text."""


def seeds(one: Lens, two: Lens) -> OtherSeed | None:
    """Two seeds at the tokens that both measured; None where there are none."""
    places = [{(row.row_id, at): row.start + number for row in found.rows for number, at in enumerate(row.taught)}
              for found in (one, two)]
    common = sorted(set(places[0]) & set(places[1]))
    if not common:
        return None
    at = [[where[place] for place in common] for where in places]
    after = [found.arrays["tuned"][where] for found, where in zip((one, two), at, strict=True)]
    before = [found.arrays["base"][where] for found, where in zip((one, two), at, strict=True)]
    moved = np.concatenate([np.abs(a - b) for a, b in zip(after, before, strict=True)])
    left = [found.arrays["left"] for found in (one, two)]
    same = left[0].shape == left[1].shape
    return OtherSeed(between=float(np.abs(after[0] - after[1]).mean()), change=float(moved.mean()), tokens=len(common),
                     agreement=tuple(arithmetic.cosine(a, b) for a, b in zip(*left, strict=True)) if same else ())
