"""The app in Streamlit's own test runner, on an empty data folder, and a workspace with runs that have ended."""

from __future__ import annotations

import os
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from streamlit.runtime.scriptrunner import script_runner
from streamlit.testing.v1 import AppTest

from core import files
from core.analysis import feature_paths
from core.analysis.feature_files import BlockFeatures
from core.api import Thaw
from core.domain import codec
from core.domain.dataset import Dataset, Task
from core.domain.model import Block, LinearLayer, ModelFacts
from core.domain.recipe import Recipe
from core.domain.run import Failure, Interval, JobKind, Result, Status
from core.errors import FailureKind
from core.models import facts as model_facts
from core.settings import Settings
from core.store import Store
from core.store.jobs import NewJob
from pages._ui.sitemap import HOME, PAGES
from tests.conftest import WORKSPACE, write_dataset

ENTRYPOINT = str(Path(__file__).parents[2] / "streamlit_app.py")


@pytest.fixture
def cold(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that has just started: every page runs without the entrypoint first, as AppTest has it. No supervisor is
    started."""
    monkeypatch.setenv("THAW_HOME", str(settings.home))
    monkeypatch.setenv("THAW_HUB", "0")
    monkeypatch.setattr(Thaw, "ensure_supervisor", lambda self: None)


@pytest.fixture
def app(cold: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """`app("train", run="…")`: that page of the app, run once, in the workspace of the tests.

    AppTest forgets before every run that the app uses `st.navigation` and treats it like a server that has just
    started; then the guard's rerun would eat each click. This makes it run the entrypoint, as a server does after its
    first visitor.
    """
    monkeypatch.setattr(script_runner, "_mpa_v1", lambda path: runpy.run_path(str(path), run_name="__main__"))

    def open_page(page: str = "home", **params: str) -> AppTest:
        at = AppTest.from_file(ENTRYPOINT, default_timeout=90)
        at.query_params["ws"] = WORKSPACE
        for name, value in params.items():
            at.query_params[name] = value
        at.run()
        if page != "home":
            at.switch_page(f"pages/{page}.py")
            for name, value in {"ws": WORKSPACE, **params}.items():
                at.query_params[name] = value
            at.run()
        return at

    return open_page


def heading(page: str) -> str:
    """The first heading of a page that shows no single thing: its title, and on the home page the app's name."""
    return "Thaw" if page == HOME else PAGES[page].title


def shown(at: AppTest) -> str:
    """All words on the page."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "error")
    return "\n".join(str(element.value) for kind in kinds for element in at.get(kind))


@pytest.fixture
def facts(settings: Settings) -> ModelFacts:
    """MiniLM as if it had been fetched and inspected."""
    return put_facts(settings)


def put_facts(settings: Settings) -> ModelFacts:
    """Write the facts of MiniLM, without its weights."""
    layers = tuple(LinearLayer(name=f"layer.{kind}", kind=kind, in_features=384, out_features=384)
                   for kind in ("attention", "mlp"))
    body = tuple(Block(index=i + 1, name=f"block {i}", parameters=1_774_464, linear_parameters=1_769_472,
                       linear_layers=layers)
                 for i in range(6))
    found = ModelFacts(id="minilm", revision="test", architecture="BertModel", tasks=(Task.TEXT_CLASSIFICATION,),
                       blocks=(Block(index=0, name="embeddings", parameters=11_917_824), *body), hidden_size=384,
                       intermediate_size=1536, attention_heads=12, max_length=512,
                       activation_bytes_per_block={b.name: 40_000 for b in body}, forward_flops_per_token=2.1e7)
    model_facts.write(found, settings)
    return found


@dataclass
class Ended:
    """Runs of one experiment that have ended."""

    done: list[str]
    failed: str


@pytest.fixture
def dataset(settings: Settings) -> Dataset:
    """90 short texts of three classes."""
    return write_dataset(settings, n_rows=90)


@pytest.fixture
def ended(settings: Settings, dataset: Dataset) -> Ended:
    """A probe and a LoRA run with results, curves and predictions, and a full run that ran out of memory."""
    return put_runs(settings, dataset)


def put_runs(settings: Settings, dataset: Dataset) -> Ended:
    """Write those runs as queue and engine leave them."""
    store = Store(settings)
    experiment = store.experiments.create(WORKSPACE, "Tiny, MiniLM")
    recipes = [Recipe(dataset=dataset.id, base_model="minilm", method=m) for m in ("probe", "lora", "full")]
    ids = store.jobs.submit([NewJob(workspace=WORKSPACE, kind=JobKind.TRAIN, name=f"Tiny, MiniLM · {r.method}",
                                    recipe=r, experiment=experiment, runs_folder=settings.workspace(WORKSPACE) / "runs")
                             for r in recipes])
    for i, run_id in enumerate(ids):
        claim = store.queue.claim(supervisor="test", host="test", slots=1)
        assert claim is not None and claim.run.id == run_id
        store.queue.begin(run_id, fence=claim.fence, pid=os.getpid(), pid_created=0.0)
        store.events.append(run_id, [(0.0, "phase", {"phase": "preparing"}),
                                     (1.0, "note", {"text": "Computes in fp32."})])
        if i == 2:
            failure = Failure(kind=FailureKind.OUT_OF_MEMORY, what="The run ran out of memory.", why="It needed more.",
                              remedy="Use LoRA.")
            store.queue.finish(run_id, fence=claim.fence, status=Status.FAILED, failure=failure)
            continue
        put_results(Path(claim.run.folder), dataset, wrong=i)
        steps = [(2.0 + s, "step", {"step": s, "total_steps": 4, "loss": 1.0 / s, "samples": 16 * s,
                                    "seconds": float(s), "memory_bytes": 10**8}) for s in range(1, 5)]
        evals = [(7.0, "eval", {"step": 4, "loss": 0.4, "accuracy": 0.9, "macro_f1": 0.9, "samples": 64,
                                "seconds": 4.0})]
        if i == 1:
            store.events.append(run_id, [(2.0, "phase", {"phase": "training"}), *steps, *evals])
        store.queue.finish(run_id, fence=claim.fence, status=Status.DONE)
    return Ended(done=ids[:2], failed=ids[2])


def put_results(folder: Path, dataset: Dataset, *, wrong: int) -> None:
    """Result, labels and predictions as the engine leaves them; `wrong` test rows are misjudged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = [i % 3 for i in range(18)]
    guesses = [(label + 1) % 3 if i < wrong else label for i, label in enumerate(labels)]
    value = 1 - wrong / 18
    interval = Interval(value=value, low=max(0.0, value - 0.1), high=min(1.0, value + 0.1))
    result = Result(metrics={"test": {"accuracy": interval, "macro_f1": interval}},
                    trainable_params=1155 if not wrong else 300_000, total_params=22_566_000, seconds=12.5,
                    phase_seconds={"training": 10.0}, peak_memory_bytes=4 * 10**8, estimated_memory_bytes=5 * 10**8,
                    artifact_bytes=10**6, steps=4, samples=64, precision="fp32", device="cpu",
                    dataset_hash=dataset.content_hash)
    files.write_json(folder / "result.json", codec.to_json(result))
    files.write_json(folder / "artifact" / "labels.json", {"classes": list(dataset.classes)})
    pq.write_table(pa.table({"row_id": pa.array(range(18), pa.int64()), "label": pa.array(labels, pa.int32()),
                             "prediction": pa.array(guesses, pa.int32()), "probabilities": [[0.4, 0.3, 0.3]] * 18}),
                   folder / "predictions-test.parquet")


LOSSES = {"lora": (2.981, 2.90, 3.06), "probe": (3.264, 3.18, 3.35)}


def put_language_runs(settings: Settings, dataset: Dataset) -> dict[str, str]:
    """A LoRA run and the untouched model as an arm, as the engine leaves them; method -> run id."""
    from core.domain.run import PanelChange

    def interval(value: float, low: float, high: float) -> Interval:
        return Interval(value=value, low=low, high=high)

    store = Store(settings)
    experiment = store.experiments.create(WORKSPACE, "Tales, SmolLM2")
    recipes = [Recipe(dataset=dataset.id, base_model="smollm2", method=m, task=dataset.task) for m in LOSSES]
    ids = store.jobs.submit([NewJob(workspace=WORKSPACE, kind=JobKind.TRAIN, name=f"Tales, SmolLM2 · {r.method}",
                                    recipe=r, experiment=experiment, runs_folder=settings.workspace(WORKSPACE) / "runs")
                             for r in recipes])
    base = interval(*LOSSES["probe"])
    for run_id, recipe in zip(ids, recipes, strict=True):
        claim = store.queue.claim(supervisor="test", host="test", slots=1)
        assert claim is not None and claim.run.id == run_id
        store.queue.begin(run_id, fence=claim.fence, pid=os.getpid(), pid_created=0.0)
        loss, trained = interval(*LOSSES[recipe.method]), recipe.method != "probe"

        def scores(value: Interval) -> dict[str, Interval]:
            return {"loss": value, "perplexity": interval(*(2.718281828 ** v for v in (value.value, value.low,
                                                                                       value.high))),
                    "bits_per_byte": interval(value.value / 2.9, value.low / 2.9, value.high / 2.9),
                    "token_accuracy": interval(0.42, 0.41, 0.43)}

        moved = {"prose": 0.021, "news": 0.002, "usenet": 0.024, "dialogue": 0.025, "instructions": -0.09}
        panel = {name: PanelChange(before=3.5, after=3.5 + by, change=interval(by, by - 0.012, by + 0.012),
                                   documents=20, tokens=4000, trained_on=name == "news") for name, by in moved.items()}
        result = Result(
            metrics={split: scores(loss) for split in ("test", "shift", "validation")},
            base={split: scores(base) for split in ("test", "shift", "validation")},
            trainable_params=4_884_480 * trained, total_params=134_515_008, seconds=231.0,
            phase_seconds={"training": 210.0}, peak_memory_bytes=9 * 10**8, estimated_memory_bytes=10**9,
            phase_memory_bytes={"preparing": 8 * 10**8, "training": 9 * 10**8, "saving": 4 * 10**8},
            artifact_bytes=2 * 10**7, steps=60, samples=240, precision="bf16", device="cpu", best_step=60 * trained,
            dataset_hash=dataset.content_hash, **({
                "panel": panel, "panel_change": interval(0.004, -0.004, 0.012),
                "kl": {"task": interval(0.11, 0.10, 0.12), "panel": interval(0.03, 0.02, 0.04)},
                "noise_floor": {"panel": dict.fromkeys(moved, 0.006), "pooled": 0.004, "target": 0.003,
                                "from": "precision"}} if trained else {}))
        files.write_json(Path(claim.run.folder) / "result.json", codec.to_json(result))
        if trained:
            put_samples(Path(claim.run.folder))
            steps = [(2.0 + s, "step", {"step": s, "total_steps": 60, "loss": 3.3 - s / 200, "samples": 4 * s,
                                        "seconds": float(s), "memory_bytes": 10**8}) for s in range(5, 61, 5)]
            evals = [(70.0 + s, "eval", {"step": s, "loss": 3.26 - s / 220, "perplexity": 26 - s / 10.0,
                                         "samples": 4 * s, "seconds": float(s)}) for s in (20, 40, 60)]
            store.events.append(run_id, [(1.0, "phase", {"phase": "training"}), *steps, *evals])
        store.queue.finish(run_id, fence=claim.fence, status=Status.DONE)
    return dict(zip(LOSSES, ids, strict=True))


def put_token_predictions(folder: Path, dataset: Dataset, *, settings: Settings, factor: float = 1.0,
                          base: float = 1.0) -> None:
    """Losses of every test and shift row as the engine leaves them: row r taught 10 tokens at a loss of 2 + r / 10 a
    token, times the factor; of the run and of the untouched model. Of conversations every second answer is exact."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from core.data import library

    rows = library.read_rows(dataset, settings=settings, workspace=WORKSPACE)
    for split in ("test", "shift"):
        ids = [row["row_id"] for row in rows.to_pylist() if row["split"] == split]
        for kind, times in (("predictions", factor), ("base-predictions", base)):
            columns = {"row_id": ids, "loss": [10 * times * (2 + row / 10) for row in ids], "tokens": [10] * len(ids),
                       "bytes": [40] * len(ids), "right": [4] * len(ids)}
            if dataset.answers:
                columns |= {"exact": [row % 2 == 0 and kind == "predictions" for row in ids], "answer": [0] * len(ids)}
            if ids:
                pq.write_table(pa.table(columns), folder / f"{kind}-{split}.parquet")


def put_samples(folder: Path) -> None:
    """What a run said to two prompts at five steps, as the engine leaves it."""
    import json

    said = ["in a house. <b>The</b> house was *big*.", "in a hut. <b>The</b> hut was *big*.", "a hut stood there",
            "there lived a king, who had a daughter", "there lived an old king, who had a daughter\n\nThe end"]
    lines = [{"step": step, "answers": [
        {"prompt": "Once upon a time", "text": text, "seed": None, "ended": step == 60},
        {"prompt": "Once upon a time", "text": f"{text} indeed", "seed": 1, "ended": True}]}
        for step, text in zip((0, 15, 30, 45, 60), said, strict=True)]
    (folder / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


ROWS = np.arange(90)
WIDTH = 12


def cloud(seed: int, *, width: int = WIDTH, apart: float = 1.0) -> np.ndarray:
    """(90, width): three classes, some way apart."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((len(ROWS), width)) + apart * rng.standard_normal((3, width))[ROWS % 3]


@pytest.fixture
def made(ended: Ended, facts: ModelFacts, settings: Settings, dataset: Dataset) -> Callable[..., str]:
    """`made(moved={...})`: the LoRA run with features on disk; block name -> its tuned features where they differ from
    the base's."""
    for name in ended.done:
        folder = Path(Thaw(settings).runs.get(WORKSPACE, name).folder)
        method = Thaw(settings).runs.get(WORKSPACE, name).recipe.method
        recipe = Recipe(dataset=dataset.id, base_model="minilm", method=method)
        files.write_json(folder / "recipe.json", recipe.to_json())
        files.write_json(folder / "artifact" / "labels.json", {"classes": list(dataset.classes), "precision": "fp32"})

    def make(run: str = "", *, moved: dict[str, np.ndarray] | None = None, rows: int = 2000,
             steps: bool = False) -> str:
        run = run or ended.done[1]
        folder = Path(Thaw(settings).runs.get(WORKSPACE, run).folder)
        where = feature_paths.of_run(folder, settings=settings, rows=rows)
        base = {block.name: cloud(block.index) for block in where.facts.blocks}
        tuned = base | (moved or {})
        BlockFeatures(row_ids=ROWS, blocks=base).save(where.base)
        BlockFeatures(row_ids=ROWS, blocks=tuned).save(where.tuned)
        for step in (0, 2, 4) if steps else ():
            way = {n: (1 - step / 4) * base[n] + step / 4 * tuned[n] for n in base}
            BlockFeatures(row_ids=ROWS[:40], blocks={n: v[:40] for n, v in way.items()}, step=step).save(
                folder / "features" / f"step-{step:07d}.safetensors")
        return run

    return make


@pytest.fixture
def moved() -> dict[str, np.ndarray]:
    """Blocks 3 and 5 have moved."""
    return {"block 3": cloud(4) + 0.3 * cloud(103), "block 5": cloud(6, apart=1.0) + cloud(105)}
