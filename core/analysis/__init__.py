"""The feature space of finished runs as the web process sees it: what is there, two sides compared, and what to take away. No torch."""

from __future__ import annotations

from core.analysis.ask import State
from core.analysis.breaks import Broken
from core.analysis.sample import BESIDE_ROWS, NOTHING, SHIFT_SET
from core.analysis.space import Space, Story
from core.shift.breakit import BREAKS, Break
from core.shift.over_training import Checkpoint
from core.shift.projection import View
from core.shift.report import Shift
from core.shift.trust import Check
from core.shift.words import CARDS, Card

__all__ = ["BESIDE_ROWS", "BREAKS", "CARDS", "NOTHING", "SHIFT_SET", "Break", "Broken", "Card", "Check", "Checkpoint", "Shift", "Space",
           "State", "Story", "View"]
