"""The rows that a language model was judged on: what each cost it, beside the untouched model or another run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis import predictions
from core.analysis.predictions import Predictions
from core.errors import NotFoundError
from core.metrics import Judged, Need

DIFFERENCE = "Difference"


@dataclass(frozen=True, kw_only=True, eq=False)
class Said:
    """What one model says of the rows, `(n_rows,)` each."""

    loss: NDArray[np.float64]
    """Nats a taught token; nan where a row teaches none."""
    exact: NDArray[np.bool_] | None
    """Of conversations: whether always taking the likeliest token gives the last answer."""

    @classmethod
    def of(cls, judged: Judged) -> Said:
        """From the sums over each row."""
        nats, tokens = (judged.of(need).astype(np.float64) for need in (Need.LOSSES, Need.TOKENS))
        loss = np.divide(nats, tokens, out=np.full(len(nats), np.nan), where=tokens > 0)
        return cls(loss=loss, exact=None if judged.exact is None else judged.exact.astype(bool))


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenRows:
    """The rows of one split of a run, and how another model does on them."""

    row_ids: NDArray[np.int64]
    tokens: NDArray[np.int64]
    """Taught tokens of each row."""
    own: Said
    beside: Said | None = None
    closed: bool = False
    """Whether answers come from a small closed set, so that another answer is a wrong one."""

    @property
    def difference(self) -> NDArray[np.float64] | None:
        """Loss of the run minus that of the other: below 0 where the run is better."""
        return None if self.beside is None else self.own.loss - self.beside.loss

    def outcome(self, *, a: bool, b: bool) -> NDArray[np.int64]:
        """Places of the rows whose answer this run has exactly (a) or not, and the other (b) or not; of passages
        none."""
        if self.own.exact is None or self.beside is None or self.beside.exact is None:
            return np.zeros(0, np.int64)
        return np.flatnonzero((self.own.exact == a) & (self.beside.exact == b))

    def ordered(self, by: str, places: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """These places (all without): `worst` = highest loss first, `improved` = lowest difference, `worsened` =
        highest, `changed` = farthest from none. Rows that teach nothing come last."""
        there = np.arange(len(self.row_ids)) if places is None else places
        key, difference = -self.own.loss, self.difference
        if difference is not None and by != "worst":
            key = {"improved": difference, "worsened": -difference, "changed": -np.abs(difference)}[by]
        return there[np.argsort(key[there], kind="stable")]  # nan is last

    def records(self, places: Sequence[int] | NDArray[np.int64], *, a: str = "run",
                b: str = "") -> list[dict[str, Any]]:
        """Rows as a table shows them. a, b: what the two are called."""
        difference, sides = self.difference, [(a, self.own)] + ([] if self.beside is None else [(b, self.beside)])
        yes, no = ("right", "wrong") if self.closed else ("exact", "not exact")
        found = []
        for place in places:
            row: dict[str, Any] = {"row_id": int(self.row_ids[place])}
            row |= {f"Answer ({name})": yes if said.exact[place] else no
                    for name, said in sides if said.exact is not None}
            row |= {f"Loss ({name})": _number(said.loss[place]) for name, said in sides}
            if difference is not None:
                row[DIFFERENCE] = _number(difference[place])
            found.append(row | {"Taught tokens": int(self.tokens[place])})
        return found


def of_run(folder: Path, split: str = "test", *, other: Path | None = None) -> TokenRows | None:
    """The rows of a run folder, alone or beside another run; None when it kept no losses of tokens.

    Raises NotFoundError when the other run did not read the same tokens of the same rows, DataError when its
    predictions are damaged.
    """
    found = predictions.read(folder, split)
    theirs = None if other is None else predictions.read_other(other, split)
    return _beside(found, theirs, alone=other is None)


def beside_base(folder: Path, split: str = "test") -> TokenRows | None:
    """The rows of a run folder beside the untouched model's; None where either was not kept."""
    theirs = predictions.read_base(folder, split)
    return None if theirs is None else _beside(predictions.read(folder, split), theirs)


def of_kept(folder: Path, split: str = "test") -> TokenRows | None:
    """The rows of a run folder beside the untouched model's where these were kept, else alone."""
    return beside_base(folder, split) or of_run(folder, split)


def has_base(folder: Path, split: str = "test") -> bool:
    """Whether the run kept what the untouched model says of these rows."""
    return predictions.base_path(folder, split).is_file()


def _beside(own: Predictions | None, other: Predictions | None, *, alone: bool = False) -> TokenRows | None:
    if own is None or own.judged.losses is None:
        return None
    tokens = own.judged.of(Need.TOKENS)
    found = TokenRows(row_ids=own.row_ids, tokens=tokens, own=Said.of(own.judged),
                      beside=Said.of(other.judged) if other is not None and other.judged.losses is not None else None,
                      closed=own.judged.answers is not None)
    if alone:
        return found
    if other is None or found.beside is None or not own.same_rows(other):
        raise NotFoundError("These two runs cannot be compared row by row.",
                            why="They were not judged on the same rows.", remedy="Choose two runs of the same dataset.")
    if not np.array_equal(tokens, other.judged.of(Need.TOKENS)):
        raise NotFoundError("These two runs cannot be compared row by row.",
                            why="They do not count the same tokens of these rows: their tokenizer, their length or "
                                "what they teach differs, so a loss a token is not the same thing.",
                            remedy="Choose two runs on one base model with the same length, or compare them over all "
                                   "rows.")
    return found


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
