"""What a language model forgot, in words: nothing is called forgetting that lies inside the noise floor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from core.data import panel
from core.domain.run import Interval, PanelChange, Result
from core.metrics.words import signed as with_sign


class Word(StrEnum):
    """What a measured difference supports saying."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "cannot tell"


@dataclass(frozen=True, kw_only=True)
class Floor:
    """How large a change is that means nothing."""

    value: float
    """In the unit of what it is a floor of; a change must lie outside of it with its whole interval."""
    source: str
    """What it was measured from: `precision`, `4-bit`, `seeds`; empty where nothing was measured."""

    @property
    def words(self) -> str:
        """As a sentence says it."""
        return {"precision": "what computing in another precision changes",
                "4-bit": "what rounding to 4 bits alone changes",
                "seeds": "what another seed changes"}.get(self.source, "")


NONE = Floor(value=0.0, source="")


def word(difference: Interval, floor: float = 0.0, *, higher_is_better: bool = False) -> Word:
    """better or worse only where the whole interval lies outside of the floor, on one side."""
    low, high = difference.low, difference.high
    if not higher_is_better:
        low, high = -high, -low
    if low > floor:
        return Word.BETTER
    return Word.WORSE if high < -floor else Word.UNCLEAR


def floor_of(result: Result, domain: str = "", *, seeds: Sequence[Result] = ()) -> Floor:
    """The noise floor of a domain (empty: of all that were not trained on), the larger of what the run measured and of
    twice the standard deviation over the seeds of its arm.

    seeds: results of runs that differ in nothing but the seed, this one among them.
    """
    own = result.noise_floor.get("panel", {}).get(domain) if domain else result.noise_floor.get("pooled")
    found = Floor(value=float(own), source=str(result.noise_floor.get("from", ""))) if own is not None else NONE
    return larger(found, [change.value for each in seeds if (change := change_of(each, domain)) is not None])


def larger(floor: Floor, values: Sequence[float]) -> Floor:
    """The floor, or what another seed changes where that is more. values: one a seed."""
    if len(values) < 2:
        return floor
    spread = 2 * float(np.std(values, ddof=1))
    return Floor(value=spread, source="seeds") if spread > floor.value else floor


def change_of(result: Result, domain: str = "") -> Interval | None:
    """The change of a domain, or of all that were not trained on; None where it was not measured."""
    if not domain:
        return result.panel_change
    return result.panel[domain].change if domain in result.panel else None


def sentence(domain: str, found: PanelChange, floor: Floor) -> str:
    """What happened to one domain."""
    name = panel.BY_NAME[domain].label if domain in panel.BY_NAME else domain
    moved = f"from {found.before:.3f} to {found.after:.3f}"
    if found.trained_on:
        return (f"The run was trained on {name}: its loss went {moved} nats a token "
                f"({signed(found.change)}), which is no forgetting.")
    return said(f"{name}", found.change, floor, moved=f" {moved}")


def said(name: str, change: Interval, floor: Floor, *, moved: str = "") -> str:
    """One sentence about a change in loss, which the interval and the noise floor support."""
    verdict = word(change, floor.value)
    numbers = (f"{moved} nats a token ({signed(change)})" if moved else
               f" by {abs(change.value):.3f} nats a token ({signed(change)})")
    if verdict is Word.WORSE:
        return f"Forgot some of {name}: loss rose{numbers}{_beyond(floor)}."
    if verdict is Word.BETTER:
        return f"Became better at {name}: loss fell{numbers}{_beyond(floor)}."
    inside = floor.value > 0 and abs(change.value) <= floor.value
    why = (f"lies within the noise floor of {floor.value:.3f} ({floor.words})" if inside
           else "is not clear of zero" if change.low <= 0 <= change.high
           else f"is not clear of the noise floor of {floor.value:.3f} ({floor.words})")
    went = "went" if moved else "changed"
    return f"Whether {name} changed cannot be told: loss {went}{numbers}, which {why}."


def signed(change: Interval) -> str:
    """`+0.024, 95 % interval +0.010 to +0.041`."""
    if not math.isfinite(change.low) or not math.isfinite(change.high):
        return f"{with_sign(change.value, 3)}, without an interval"
    low, high = (with_sign(each, 3) for each in (change.low, change.high))
    return f"{with_sign(change.value, 3)}, 95 % interval {low} to {high}"


def sentences(result: Result, *, seeds: Sequence[Result] = ()) -> list[str]:
    """A sentence a domain, in the order of the panel; empty where nothing was measured."""
    return [sentence(name, found, floor_of(result, name, seeds=seeds)) for name, found in result.panel.items()]


def rows(result: Result, *, seeds: Sequence[Result] = ()) -> list[dict[str, Any]]:
    """The panel as a table shows it: a row a domain."""
    found = []
    for name, change in result.panel.items():
        floor = floor_of(result, name, seeds=seeds)
        found.append({"domain": name, "label": panel.BY_NAME[name].label if name in panel.BY_NAME else name,
                      "before": change.before, "after": change.after, "change": change.change, "kl": change.kl,
                      "floor": floor.value, "floor_from": floor.source, "trained_on": change.trained_on,
                      "documents": change.documents, "tokens": change.tokens,
                      "word": "trained on" if change.trained_on else str(word(change.change, floor.value))})
    return found


def _beyond(floor: Floor) -> str:
    return f", beyond the noise floor of {floor.value:.3f} ({floor.words})" if floor.source else ""
