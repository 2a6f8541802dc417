"""Stored documents of older versions are brought forward by plain lines; those of newer ones are named as such.

A document is a JSON object with a `schema_version`; one without is of version 1. What is known of its old forms stands
beside its dataclass, in `upgrade(data) -> data`: it takes the JSON of any older version, tells by the version or by
what is missing which one it is, and changes nothing in a present one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.errors import NewerVersionError

KEY = "schema_version"
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


def forward(data: dict[str, Any], *, now: int, what: str, upgrade: Upgrade = dict) -> dict[str, Any]:
    """A document in the form of version `now`. what: its name in messages.

    Raises NewerVersionError for a version above `now`, ValueError where the version is no number.
    """
    version = data.get(KEY, 1)
    if type(version) is not int or version < 1:
        raise ValueError(f"{KEY}: {version!r:.40} is not the number of a version")
    if version > now:
        raise NewerVersionError(f"The {what} file was written by a newer version of Thaw.",
                                why=f"Its schema version is {version}; this version of Thaw reads up to {now}.",
                                remedy="Update Thaw, or open it with the version that wrote it. Nothing was changed.")
    return {**upgrade(data), KEY: now}
