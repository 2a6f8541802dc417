"""What a model's answer rests on: a share of the score for each part of the input."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """Integrated gradients (Sundararajan et al. 2017) of the score of the answered class, or of the first token that a
    language model says."""

    label: str
    """The class whose score (logit) is explained, or the token whose log-probability (nats) is."""
    says: bool = False
    """Whether it is a token that a language model says."""
    pieces: tuple[str, ...] = ()
    """Tokens of a text as they are read, in order; empty for a picture."""
    shares: tuple[float, ...] = ()
    """What each adds to the score, in its unit: a token each, or the cells of a picture row by row."""
    columns: int = 0
    """Cells a row of a picture."""
    picture: str = ""
    """The picture as the network reads it: a PNG in base 64."""
    difference: float = 0.0
    """Score of the input less that of the empty input."""
    error: float = 0.0
    """How far the shares' sum misses the difference: 0 would be complete."""
    random_rank: float | None = None
    """Rank correlation of the sizes of the shares with those under randomised weights (Adebayo et al. 2018); None where
    that was not asked for, or where there are too few parts."""
    checked: bool = False
    """Whether the randomised weights were tried."""
    earlier: int = 0
    """Tokens of a long prompt that stand before those that have a share, and were read as they are."""

    unchecked: str = ""
    """Why randomised weights could not be tried."""

    @property
    def unit(self) -> str:
        """Of the score."""
        return "nats" if self.says else "logits"

    @property
    def incomplete(self) -> float | None:
        """The error as a share of the difference; None where there is hardly a difference."""
        return self.error / abs(self.difference) if abs(self.difference) > 1e-6 else None
