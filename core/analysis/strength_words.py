"""What a measured curve supports saying: which setting validation rows like best, and what it is worth elsewhere."""

from __future__ import annotations

from core.analysis.strength_files import PANEL, Curve, Curves, Point
from core.domain.strength import Dial
from core.metrics import REGISTRY

CHOOSING = "validation"
"""The set that a setting is chosen by; the others only judge it."""
CAUTION = ("Choose by the validation rows. Whoever chooses by test or shift rows has used them up: their numbers are "
           "then too good.")
SET_WORDS = {"validation": "validation rows", "test": "test rows", "shift": "shift set", PANEL: "forgetting panel"}


def as_trained(dial: Dial, rank: int | None) -> float:
    """Where a dial stands in the model as it was trained."""
    return {Dial.STRENGTH: 1.0, Dial.RANK: float(rank or 0), Dial.INTRUDERS: 0.0}[dial]


def best(curves: Curves, curve: Curve) -> Point | None:
    """The setting with the best value on validation rows, of equal ones the nearest to the model as trained; None
    without such rows."""
    sample = curves.samples.get(CHOOSING)
    points = [point for point in curve.points if CHOOSING in point.sets]
    if sample is None or not points:
        return None
    metric, trained = REGISTRY[sample.metric], as_trained(curve.dial, curves.rank)
    return max(points, key=lambda point: (metric.sign * point.sets[CHOOSING].scores[metric.name].value,
                                          -abs(point.at - trained)))


def sentences(curves: Curves, curve: Curve) -> list[str]:
    """The choice, and what each other set says of it: never more than its test supports."""
    chosen = best(curves, curve)
    if chosen is None:
        return ["There are no validation rows, so no setting can be chosen without using up the test rows."]
    at = f"{curve.dial} {chosen.at:g}"
    found = chosen.sets[CHOOSING]
    if found.difference is None:
        return [f"On validation rows nothing is better than the model as trained ({at})."]
    if not found.clear:
        first = (f"Validation rows like {at} best, but do not tell it from the model as trained: there is no reason to "
                 "leave that.")
    else:
        first = f"Chosen on validation rows: {at}. {found.sentence}"
    return [first, *(line for name in chosen.sets if name != CHOOSING and (line := said(curves, chosen, name)))]


def called(curves: Curves, name: str) -> str:
    """What a set is called: `shift set (made: typos, severity 3)`."""
    made = curves.samples[name].made if name in curves.samples else ""
    return SET_WORDS.get(name, name) + (f" ({made})" if made else "")


def said(curves: Curves, point: Point, name: str) -> str:
    """What one set says of one setting."""
    found = point.sets.get(name)
    if found is None or name not in curves.samples:
        return ""
    where = called(curves, name)
    if found.difference is None:
        return f"{where[0].upper() + where[1:]}: this is the model as trained."
    return found.sentence if name == PANEL else f"{where[0].upper() + where[1:]}: {found.sentence}"
