"""The model server as a real process: started when it is asked for, found again, killed, idle, and short of memory."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.domain.dataset import Dataset
from core.domain.recipe import LoraSpec, Recipe
from core.domain.side import Side, Which
from core.errors import NotFoundError, ThawError
from core.jobs import process
from core.serving import client, place
from core.serving.question import Answers, Question, State, same
from core.settings import Settings
from core.training.execute import execute
from tests.conftest import WORKSPACE, Notes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def run(settings: Settings, tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path) -> Path:
    recipe = Recipe(dataset=tiny_dataset.id, base_model=str(tiny_model), method="lora", epochs=1.0, batch_size=8,
                    precision="fp32", lora=LoraSpec(rank=2), max_length=32, learning_rate=1e-2)
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=tmp_path / "run", observer=Notes())
    return tmp_path / "run"


@pytest.fixture
def serving(settings: Settings) -> Iterator[Settings]:
    found = replace(settings, threads=1)
    yield found
    if here := place.read(found):
        process.end(here.pid, here.started, signal.SIGKILL, here.birth)


def answered(handle: str, settings: Settings) -> Answers:
    found, version = client.look(handle, settings, wait_s=5)
    while not found.final:
        found, version = client.look(handle, settings, known=version, wait_s=5)
    return found


def test_it_starts_answers_is_killed_comes_back_and_ends_when_idle(run: Path, serving: Settings,
                                                                   waiting: Callable[..., Any]) -> None:
    question = Question(sides=(Side.of(run, Which.BASE), Side.of(run), Side.of(run)), visitor="v", texts=("a goal",))
    assert client.state(serving) is None
    first = client.ask(question, serving)
    found = answered(first, serving)
    assert [answer.state for answer in found.answers] == [State.DONE] * 3 and same(found.answers) == [[1, 2]]
    there = client.state(serving)
    assert there is not None and there["pid"] != os.getpid() and there["loaded"] == [
        Side.of(run, Which.BASE).text, Side.of(run).text] and there["bytes"] > 0
    refused(serving)

    os.kill(there["pid"], signal.SIGKILL)
    waiting(lambda: client.state(serving) is None, 60)
    with pytest.raises(client.ServerGone) as gone:
        client.look(first, serving)
    assert gone.value.why and gone.value.remedy
    client.cancel(first, serving)  # nobody works on it: nothing to stop, no error
    again = answered(client.ask(question, replace(serving, serving_idle_s=15.0)), serving)
    assert [answer.digest for answer in again.answers] == [answer.digest for answer in found.answers]
    there_now = client.state(serving)
    assert there_now is None or there_now["pid"] != there["pid"]
    waiting(lambda: not place.path(serving).exists(), 120)


def refused(settings: Settings) -> None:
    """Without the key nothing is answered; a task that is not known, and what is no question, are told so."""
    here = place.read(settings)
    assert here is not None and place.path(settings).stat().st_mode & 0o077 == 0
    for token, path, status in (("", "/state", 403), ("wrong", "/tasks/x", 403), (here.token, "/tasks/x", 404)):
        connection = http.client.HTTPConnection("127.0.0.1", here.port, timeout=30)
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        assert connection.getresponse().status == status
    with pytest.raises(NotFoundError, match="no longer there"):
        client.look(f"{here.name}:nothing", settings)
    with pytest.raises(ThawError, match="cannot be read"):
        client._request(here, "POST", "/tasks", {"sides": 3})


def test_what_does_not_fit_is_refused_in_three_parts(run: Path, serving: Settings) -> None:
    handle = client.ask(Question(sides=(Side.of(run), Side.of(run.parent / "nothing")), visitor="v", texts=("a goal",)),
                        replace(serving, serving_gb=1e-6))
    no_room, no_run = answered(handle, serving).answers
    assert no_room.state is State.FAILED and no_run.state is State.FAILED
    assert no_room.error is not None and "not enough memory" in no_room.error["what"] and no_room.error["remedy"]
    assert no_run.error is not None and "recipe.json" in no_run.error["what"]


def test_one_run_is_served_from_the_command_line_until_it_is_told_to_end(run: Path, serving: Settings) -> None:
    env = process.environment(serving)
    child = subprocess.Popen(process.python("core", "serve", str(run), "--port", "0", "--json"), env=env, text=True,
                             stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1] != "}\n":
            lines.append(child.stdout.readline())
            assert lines[-1], "it ended"
        said = json.loads("".join(lines))
        assert said["url"].startswith("http://127.0.0.1:") and said["paths"] == ["/predict"]
        request = urllib.request.Request(f"{said['url']}/predict", data=b'{"text": "a goal"}',
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            assert json.loads(answer.read())["predictions"][0]["label"]
        child.send_signal(signal.SIGINT)
        assert child.wait(120) == 0
    finally:
        child.kill()
        child.wait()
