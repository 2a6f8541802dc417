"""Trust this page: null checks and known answers, run live on the features that the page shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from core.shift import breakit, cka, displacement, footer, neighbours, procrustes
from core.shift.arrays import Table, subset, table
from core.shift.projection import View

MAX_ROWS = 1000


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check: what a number must read on a case whose answer is known."""

    name: str
    expected: str
    value: float
    passed: bool


def measure(x: ArrayLike, *, seed: int = 0) -> tuple[Check, ...]:
    """All checks on one block's features (at most `MAX_ROWS` rows): as they are, rotated, scaled, and shuffled."""
    full = table(x)
    rows = full[subset(len(full), MAX_ROWS, seed)]
    n = len(rows)
    turned, larger = breakit.rotate(rows, rows, seed).tuned, breakit.scale(rows, rows, seed).tuned
    dealt = breakit.shuffle(rows, rows, seed).tuned
    chance, noise = neighbours.chance(n), float(5 / np.sqrt(n))
    chance_noise = 5 * float(np.sqrt(chance / (10 * n))) + 1e-3
    return (
        _exact("CKA of the base with itself", cka.linear(rows, rows.copy()), 1.0),
        _exact("Neighbours kept against itself", neighbours.overlap(rows, rows.copy()), 1.0),
        _exact("Displacement against itself", displacement.measure(rows, rows.copy()).typical(), 0.0),
        _exact("Procrustes residual against itself", procrustes.measure(rows, rows.copy()).residual, 0.0),
        _exact("Step that the union map draws against itself", footer.step(*_drawn_twice(rows, seed)), 0.0),
        _near("CKA after a rotation", cka.linear(rows, turned), 1.0, 1e-6),
        _near("Neighbours kept after a rotation", neighbours.overlap(rows, turned), 1.0, 0.01),
        _near("CKA after scaling by 3", cka.linear(rows, larger), 1.0, 1e-6),
        _near("Procrustes scale after scaling by 3", procrustes.measure(rows, larger).scale, 3.0, 1e-6),
        _near("CKA with shuffled rows", cka.linear(rows, dealt), 0.0, noise),
        _near("Neighbours kept with shuffled rows (chance)", neighbours.overlap(rows, dealt), chance, chance_noise),
    )


def _drawn_twice(rows: Table, seed: int) -> tuple[Table, Table]:
    drawn = footer.draw(rows, rows.copy(), view=View.UNION, seed=seed)
    return drawn.base, drawn.tuned


def _exact(name: str, value: float, expected: float) -> Check:
    return Check(name=name, expected=f"exactly {expected:g}", value=value, passed=value == expected)


def _near(name: str, value: float, expected: float, tolerance: float) -> Check:
    return Check(name=name, expected=f"{expected:.3g} ± {tolerance:.1g}", value=value,
                 passed=bool(abs(value - expected) <= tolerance))
