"""Freeze plans: which blocks train. Presets, the text form used on the command line, and the shallowest trained
block."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from core.errors import PatternError
from core.patterns import matching

HEAD, EMBEDDINGS = "head", "embeddings"
BIASES = "bias$"
"""Pattern of every parameter that is added: biases of layers, shifts of norms."""


@dataclass(frozen=True, kw_only=True)
class FreezePlan:
    """Which blocks stay frozen; every other block trains. A new head always trains.

    frozen: names of frozen blocks; `head`, where it is the base model's own output layer.
    train_patterns: regular expressions over parameter names that train although their block is frozen
    (BitFit: `bias$`; LayerNorm tuning: `LayerNorm`).
    layer_decay: learning rate of each block = that of the block above times this (1 = same everywhere).
    """

    frozen: tuple[str, ...] = ()
    train_patterns: tuple[str, ...] = ()
    layer_decay: float = 1.0

    def is_frozen(self, block: str) -> bool:
        return block in self.frozen

    def any_frozen(self, blocks: Sequence[str]) -> bool:
        """Whether something that these blocks use is frozen: it is, as soon as one of them is, whose output would
        change otherwise."""
        return any(self.is_frozen(block) for block in blocks)

    def first_trainable(self, blocks: Sequence[str]) -> int:
        """Index of the shallowest block with something to train: everything below may be cached.

        With `train_patterns` nothing may be cached (0), since a pattern can match anywhere.
        """
        if self.train_patterns:
            return 0
        return next((i for i, name in enumerate(blocks) if not self.is_frozen(name)), len(blocks) - 1)


def none(blocks: Sequence[str]) -> FreezePlan:
    """Everything trains."""
    return FreezePlan()


def all_but_head(blocks: Sequence[str]) -> FreezePlan:
    """Only the head trains."""
    return FreezePlan(frozen=tuple(b for b in blocks if b != HEAD))


def all_but_biases(blocks: Sequence[str]) -> FreezePlan:
    """Only biases train, and a new head; the base model's own output layer is frozen like the rest."""
    return FreezePlan(frozen=tuple(blocks), train_patterns=(BIASES,))


def lower_half(blocks: Sequence[str]) -> FreezePlan:
    """Embeddings and the lower half of the blocks are frozen."""
    depth = _depth(blocks)
    below = set(depth[: len(depth) // 2])
    return FreezePlan(frozen=tuple(b for b in blocks if b in below or (b != HEAD and b not in depth)))


def upper_half(blocks: Sequence[str]) -> FreezePlan:
    """The upper half of the blocks is frozen; embeddings, the lower half and the head train."""
    depth = _depth(blocks)
    return FreezePlan(frozen=tuple(depth[len(depth) // 2:]))


def third(blocks: Sequence[str], which: int) -> FreezePlan:
    """The lower (0), middle (1) or upper (2) third of the blocks is frozen, and the embeddings with the lower one."""
    depth = _depth(blocks)
    part = set(depth[len(depth) * which // 3:len(depth) * (which + 1) // 3])
    return FreezePlan(frozen=tuple(b for b in blocks if b in part or (which == 0 and b != HEAD and b not in depth)))


def every_other(blocks: Sequence[str]) -> FreezePlan:
    """Frozen and trained blocks take turns, from the frozen embeddings on."""
    return FreezePlan(frozen=tuple([b for b in blocks if b != HEAD][::2]))


def groups_from_top(blocks: Sequence[str], most: int) -> list[tuple[str, ...]]:
    """At most so many groups of neighbouring blocks, embeddings included and the head left out, the uppermost first.
    As equal as can be; where they cannot be equal, the lower ones are larger."""
    body = [b for b in blocks if b != HEAD]
    count = max(1, min(most, len(body)))
    size, more = divmod(len(body), count)
    ends = [len(body) - size * above - max(0, above - (count - more)) for above in range(count + 1)]
    return [tuple(body[low:high]) for high, low in pairwise(ends)]


def _depth(blocks: Sequence[str]) -> list[str]:
    """The numbered blocks, without embeddings and head."""
    return [b for b in blocks if b.startswith("block ")]


NAMED: dict[str, Callable[[Sequence[str]], FreezePlan]] = {
    "none": none, "all-but-head": all_but_head, "lower-half": lower_half, "upper-half": upper_half,
    "lower-third": lambda blocks: third(blocks, 0), "middle-third": lambda blocks: third(blocks, 1),
    "upper-third": lambda blocks: third(blocks, 2), "every-other": every_other,
}
"""Plans by the names that the command line takes."""


def top_k(blocks: Sequence[str], k: int) -> FreezePlan:
    """Only the top k blocks (and the head) train."""
    body = [b for b in blocks if b != HEAD]
    return FreezePlan(frozen=tuple(body[: max(0, len(body) - k)]))


def parse(spec: str, blocks: Sequence[str]) -> FreezePlan:
    """Read a freeze plan from text.

    A name of `NAMED` (`none`, `all-but-head`, `lower-half`, `every-other` …), `top-K`, or a comma-separated list of
    what to freeze, where each item is a block name (`embeddings`, `block 2`), a block number (`2`), a range of numbers
    (`0-3`), or `/regex/` over block names. Raises PatternError naming the blocks when an item matches none.
    """
    text = spec.strip().lower()
    if text in NAMED:
        return NAMED[text](blocks)
    if match := re.fullmatch(r"top-(\d+)", text):
        return top_k(blocks, int(match[1]))
    frozen: set[str] = set()
    for item in (part.strip() for part in text.split(",") if part.strip()):
        found = _match(item, blocks)
        if not found:
            raise PatternError(f"The freeze plan names {item!r}, which matches no block of this model.",
                               why=f"Its blocks are: {', '.join(b for b in blocks if b != HEAD)}.",
                               remedy="Use a block name, a number, a range such as 0-3, or "
                                      f"{' / '.join((*NAMED, 'top-2'))}.")
        frozen |= found
    return FreezePlan(frozen=tuple(b for b in blocks if b in frozen))


def _match(item: str, blocks: Sequence[str]) -> set[str]:
    body = [b for b in blocks if b != HEAD]
    if len(item) > 2 and item.startswith("/") and item.endswith("/"):
        return set(matching(item[1:-1], body, what="freeze pattern"))
    if match := re.fullmatch(r"(\d+)(?:-(\d+))?", item):
        low, high = int(match[1][:9]), int((match[2] or match[1])[:9])
        # never longer than the model is deep
        wanted = [f"block {i}" for i in range(low, min(high, low + len(body)) + 1)]
        return set(wanted) if set(wanted) <= set(body) else set()
    return {item} & set(blocks)


def describe(plan: FreezePlan, blocks: Sequence[str] | None = None) -> str:
    """One short phrase, e.g. `nothing frozen`, `all but head frozen`, `embeddings, blocks 0–2 frozen`.

    blocks: all of the model's, in order; without them the frozen ones are named, however many there are.
    """
    if plan.train_patterns:
        opened = "biases" if plan.train_patterns == (BIASES,) else ", ".join(plan.train_patterns)
        return f"{describe(replace(plan, train_patterns=()), blocks)}, {opened} trained"
    known, blocks = blocks is not None, plan.frozen if blocks is None else blocks
    if not any(plan.is_frozen(b) for b in blocks):
        return "nothing frozen"
    if known and all(plan.is_frozen(b) for b in blocks if b != HEAD):
        return "all but head frozen"
    numbers = [int(b.split()[1]) for b in blocks if plan.is_frozen(b) and b.startswith("block ")]
    parts = [b for b in blocks if plan.is_frozen(b) and not b.startswith("block ")]
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][1] + 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    if len(runs) > 3 and all(a == b for a, b in runs) and {b - a for (a, _), (b, _) in pairwise(runs)} == {2}:
        return ", ".join([*parts, f"every other block of {runs[0][0]}–{runs[-1][0]}"]) + " frozen"
    parts += [f"block {a}" if a == b else f"blocks {a}–{b}" for a, b in runs]
    return ", ".join(parts) + " frozen"
