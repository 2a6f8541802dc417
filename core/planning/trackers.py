"""Trackers that the Trainer may report a run's curves to, beside Thaw's own record; none unless they are asked for."""

from __future__ import annotations

import importlib.util

from core.errors import ThawError
from core.settings import Settings

PACKAGES = {"tensorboard": ("tensorboard", "tensorboardX"), "mlflow": ("mlflow",), "trackio": ("trackio",)}
"""As transformers calls them -> packages, any one of which it takes."""


def check(settings: Settings) -> None:
    """Raises ThawError, before a run starts, where `THAW_TRACKERS` names one that is unknown or not installed."""
    for name in settings.trackers:
        if name not in PACKAGES:
            raise ThawError(f"The setting THAW_TRACKERS names {name[:60]!r}, which Thaw does not know.",
                            why=f"It knows {', '.join(PACKAGES)}.", remedy="Correct the environment variable or unset "
                                                                            "it, then start again.")
        if not any(importlib.util.find_spec(package) for package in PACKAGES[name]):
            raise ThawError(f"The setting THAW_TRACKERS names {name}, which is not installed.",
                            why="Trackers are optional: Thaw keeps its own record of every run and installs none.",
                            remedy=f"pip install {PACKAGES[name][0]}, or unset THAW_TRACKERS, then start again.")
