"""Thirty visitors at once at a real model server: all are answered in turn, and the process that asks stays small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from core.domain.recipe import LoraSpec, Recipe
from core.settings import Settings
from core.training.execute import execute
from tests import chat_templates, tiny
from tests.conftest import WORKSPACE, Notes, write_language_dataset

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

ASKING = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from core import settings as settings_module
from core.domain.side import Side
from core.serving import client
from core.serving.question import Drawing, Question, State

settings, side = settings_module.load(), Side.of(Path(sys.argv[1]))

def ask(visitor):
    return client.ask(Question(sides=(side,), visitor=visitor, texts=("a late goal",),
                               drawing=Drawing(most=64, temperature=1.0, seed=1)), settings)

def look(handle, wait_s=0.0):
    return client.look(handle, settings, wait_s=wait_s)[0]

alone = ask("first")                                       # the server starts and loads
while not look(alone).final:
    time.sleep(0.1)
with ThreadPoolExecutor(16) as pool:
    early = list(pool.map(ask, [f"early-{n}" for n in range(14)]))
    greedy = list(pool.map(ask, ["greedy"] * 4))
    late = list(pool.map(ask, [f"late-{n}" for n in range(14)]))
leaving = ask("leaving")
place = look(leaving).place
client.cancel(leaving, settings)
others = early + late
not_begun = None
while True:
    second = [look(handle).answers[0].state for handle in greedy]
    begun = [look(handle).answers[0].state is not State.WAITING for handle in others]
    if not_begun is None and sum(state is not State.WAITING for state in second) > 1:
        not_begun = begun.count(False)                     # when the greedy one's second question is begun
    if all(look(handle).final for handle in others + greedy + [leaving]):
        break
    time.sleep(0.02)
said = [look(handle).answers[0] for handle in [alone] + others + greedy]
left = look(leaving).answers[0]
print(json.dumps({"states": [one.state for one in said], "digests": sorted({one.digest for one in said}),
                  "place": place, "left": [left.state, left.tokens], "not_begun": not_begun,
                  "torch": "torch" in sys.modules}))
"""


def test_thirty_visitors_are_answered_in_turn(settings: Settings, tmp_path: Path) -> None:
    model = tiny.language("llama", tmp_path / "talker", vocab_size=512, max_position_embeddings=128)
    chat_templates.tokenizer("marked").save_pretrained(model)  # type: ignore[attr-defined]
    dataset = write_language_dataset(settings, n_rows=24)
    recipe = Recipe(dataset=dataset.id, base_model=str(model), method="lora", epochs=1.0, batch_size=4, max_length=48,
                    task=dataset.task, precision="fp32", lora=LoraSpec(rank=2))
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=tmp_path / "run", observer=Notes())
    home = {**os.environ, "THAW_HOME": str(settings.home), "THAW_HUB": "0"}
    try:
        done = subprocess.run([sys.executable, "-c", ASKING, str(tmp_path / "run")], env=home, capture_output=True,
                              text=True, timeout=900, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        found = json.loads(done.stdout)
    finally:
        for process in psutil.process_iter():
            try:
                if process.environ().get("THAW_HOME") == str(settings.home) and process.pid != os.getpid():
                    process.kill()
            except psutil.Error:
                continue
    assert found["states"] == ["done"] * (1 + 28 + 4), "everybody was answered, whatever he asked"
    assert len(found["digests"]) == 1, "and the same, to the last bit, as who asked alone"
    assert found["not_begun"] == 0, "no second question of anybody is begun before each first one"
    assert found["left"] == ["stopped", 0] and found["place"] > 1
    assert not found["torch"]
