"""Asking a model server that may just be ending."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pytest

from core.jobs import process
from core.serving import client
from core.serving.place import Place
from core.settings import Settings


def test_a_server_that_answers_no_more_but_is_not_gone_yet_is_waited_for(settings: Settings,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed closes its port before it is dead, and for a moment looks alive."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1)"])
    known = process.identity(child.pid)
    assert known is not None
    ending = Place(name="ending", host=process.host(), port=1, token="t", pid=known.pid, started=known.started,
                   birth=known.birth)
    lived: list[bool] = []

    def ensure(settings: Settings) -> Place:
        lived.append(ending.alive())
        return ending if lived == [True] else dataclasses.replace(ending, name="next")

    def request(here: Place, method: str, path: str, body: Any = None) -> dict[str, Any]:
        if here.name == "ending":
            raise client._gone()
        return {"task": "1"}

    monkeypatch.setattr(client, "ensure", ensure)
    monkeypatch.setattr(client, "_request", request)
    assert client._post("/tasks", {}, settings) == "next:1"
    assert lived == [True, False], "the next one is looked for once the other is gone"
    child.wait()
