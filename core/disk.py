"""Room on the disk of the data folder: when there is hardly any, nothing new is begun, and every page says so."""

from __future__ import annotations

import shutil

from core.errors import FailureKind, ThawError
from core.settings import Settings


def free_bytes(settings: Settings) -> int | None:
    """Bytes that may still be written; None when the system does not say."""
    try:
        return shutil.disk_usage(settings.home).free
    except OSError:
        return None


def shortage(settings: Settings) -> ThawError | None:
    """What to say when there is less room than `min_free_mb`; None when there is enough."""
    free = free_bytes(settings)
    if free is None or free >= settings.min_free_mb * 1_000_000:
        return None
    return ThawError("The disk is full." if free < 1_000_000 else "The disk is nearly full.",
                     kind=FailureKind.INTERRUPTED, why=f"{free / 1e6:,.0f} MB are left where the data folder is; no "
                                                       f"run is started below {settings.min_free_mb:,} MB.",
                     remedy="Delete runs and datasets that are not needed any more, or free space elsewhere. Waiting "
                            "runs then start by themselves.")
