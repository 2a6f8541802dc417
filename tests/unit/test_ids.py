"""Ids come from addresses that anybody can type: what is no id is refused in words, and never becomes a path or a
job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.api import Thaw
from core.errors import ThawError
from core.settings import Settings

BAD = ("a\0b", "x" * 100_000, "../..", "/etc/passwd", "%00", "'; DROP TABLE jobs; --", "a\nb", "..", "\u202e", "a/b/c")
CALLS: dict[str, Callable[[Thaw, str, str], Any]] = {
    "workspace": lambda thaw, ws, bad: thaw.touch_workspace(bad),
    "run": lambda thaw, ws, bad: thaw.runs.get(ws, bad),
    "log": lambda thaw, ws, bad: thaw.runs.log(ws, bad),
    "delete run": lambda thaw, ws, bad: thaw.runs.delete(ws, bad),
    "compare": lambda thaw, ws, bad: thaw.experiments.compare(ws, [bad]),
    "rows": lambda thaw, ws, bad: thaw.data.rows(ws, bad),
    "delete dataset": lambda thaw, ws, bad: thaw.data.delete(ws, bad),
    "recipe": lambda thaw, ws, bad: thaw.experiments.default_recipe(ws, dataset=bad, model="minilm", method="probe"),
    "fetch model": lambda thaw, ws, bad: thaw.models.prepare(ws, model=bad),
    "fetch dataset": lambda thaw, ws, bad: thaw.models.prepare(ws, dataset=bad),
    "fetch hub set": lambda thaw, ws, bad: thaw.data.fetch_hub_set(ws, bad),
    "facts": lambda thaw, ws, bad: thaw.models.facts(bad) if not bad.startswith(("/", "../"))
                              else thaw.models.prepare(ws, model=bad),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_what_is_no_id_is_refused_in_words(call: Callable[[Thaw, str, str], Any], settings: Settings) -> None:
    thaw = Thaw(settings)
    ws = thaw.new_workspace()
    for bad in BAD:
        with pytest.raises(ThawError) as caught:
            call(thaw, ws, bad)
        assert caught.value.what and caught.value.remedy and len(caught.value.what) < 5000
    assert thaw.runs.all(ws) == []
