"""What each block says, on features and words as the last phase of a language run leaves them: real files, made-up
numbers."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core import files
from core.analysis import feature_paths, lens_files
from core.analysis.feature_files import BlockFeatures
from core.api import Thaw
from core.domain import codec
from core.domain.dataset import Dataset, Task
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.domain.run import JobKind
from core.domain.side import Side
from core.settings import Settings
from tests.conftest import WORKSPACE, write_dataset
from tests.ui.conftest import Ended, put_runs, shown

ROWS = np.arange(90)
WORDS = ["Once", " upon", " a", " time", "\n", " fox", " goose", " king"]


@pytest.fixture
def tales(settings: Settings) -> Dataset:
    """Ninety passages without labels, in six groups."""
    found = write_dataset(settings, n_rows=90)
    counts = {split: {"": sum(classes.values())} for split, classes in found.counts.items()}
    told = dataclasses.replace(found, task=Task.on(found.task.content, labelled=False), classes=(), counts=counts,
                               groups=6)
    folder = settings.workspace(WORKSPACE) / "datasets" / found.id
    (folder / "dataset.json").write_text(json.dumps(codec.to_json(told)), encoding="utf-8")
    rows = pq.read_table(folder / "rows.parquet")
    rows = rows.set_column(rows.column_names.index("label"), "label", pa.array([None] * 90, pa.int32()))
    pq.write_table(rows.append_column("group", pa.array(ROWS // 15, pa.int32())), folder / "rows.parquet")
    return told


@pytest.fixture
def run(settings: Settings, tales: Dataset, facts: ModelFacts) -> str:
    """A LoRA run on them with features on disk; block 5 has moved."""
    ended: Ended = put_runs(settings, tales)
    name = ended.done[1]
    folder = Path(Thaw(settings).runs.get(WORKSPACE, name).folder)
    files.write_json(folder / "recipe.json", Recipe(dataset=tales.id, base_model="minilm", method="lora",
                                                    task=tales.task).to_json())
    files.write_json(folder / "artifact" / "labels.json", {"classes": [], "precision": "fp32"})
    rng = np.random.default_rng(0)
    where = feature_paths.of_run(folder, settings=settings, rows=2000)
    base = {block.name: rng.standard_normal((90, 12)) for block in where.facts.blocks}
    BlockFeatures(row_ids=ROWS, blocks=base).save(where.base)
    BlockFeatures(row_ids=ROWS, blocks=base | {"block 5": base["block 5"] + 0.5}).save(where.tuned)
    for path in folder.glob("predictions-*.parquet"):
        path.unlink()
    for split, shift in (("test", 0.0), ("base-test", 0.3)):
        pq.write_table(pa.table({"row_id": ROWS, "loss": 30.0 + ROWS * shift, "tokens": np.full(90, 10)}),
                       folder / f"predictions-{split}.parquet")
    return name


def put_words(settings: Settings, run: str, *, changed: bool = True) -> Path:
    """Two rows of eight tokens, read at three blocks."""
    folder = Path(Thaw(settings).runs.get(WORKSPACE, run).folder)
    rng = np.random.default_rng(0)
    tokens = np.tile(np.arange(8), 2)
    kl = rng.uniform(0, 2, 16) if changed else np.zeros(16)
    arrays = {"token": tokens.astype(np.int32), "left": rng.standard_normal((3, 12)).astype(np.float32)}
    arrays |= {name: kl.astype(np.float32) for name in ("kl", "kl_shuffled", "rose_from", "fell_to")}
    arrays |= {"rose_to": arrays["kl"] + 0.1 * changed, "fell_from": arrays["kl"] + 0.1 * changed,
               "base": -np.ones(16, np.float32), "tuned": -np.ones(16, np.float32) + np.float32(0.1 * changed),
               "rose": tokens.astype(np.int32), "fell": tokens[::-1].astype(np.int32)}
    for side in ("base", "tuned"):
        arrays |= {f"{name}_{side}": rng.integers(1, 8, (3, 16)).astype(np.int32) for name in ("top", "rank",
                                                                                              "null_rank")}
        arrays |= {f"{name}_{side}": -rng.uniform(0, 5, (3, 16)).astype(np.float32)
                   for name in ("log_probability", "null_log_probability")}
    side = {"log_probability": {"value": -2.0, "low": -2.1, "high": -1.9}, "rank": {"value": 3, "low": 2, "high": 4},
            "null_log_probability": -9.0, "null_rank": 400.0}
    names = ["embeddings", "block 4", "block 5"]
    pointed = {"words": [[5, 0.4], [6, 0.2]], "random": [[1, 0.01], [2, 0.01]], "shared": 18, "random_shared": 0.4,
               "random_highest": 0.02, "size": 2.0, "typical": 10.0, "agreement": 0.95}
    still = {"words": [], "random": [], "shared": None, "random_shared": None, "random_highest": None, "size": 0.0,
             "typical": 10.0, "agreement": None}
    document = {
        "precision": "bf16", "vocabulary": 1000,
        "rows": [{"row_id": row, "start": 8 * i, "stop": 8 * i + 8, "shown": 8, "kl": float(kl[8 * i:8 * i + 8].mean()),
                  "change": 0.1, "pieces": WORDS, "taught": list(range(8))} for i, row in enumerate((3, 7))],
        "blocks": [{"name": name, "base": side, "tuned": side} for name in names],
        "kl": {"mean": {"value": float(kl.mean()), "low": float(kl.mean()) * 0.8, "high": float(kl.mean()) * 1.2},
               "shuffled": 6.0, "floor": {"source": "precision", "mean": 0.001, "high": 0.004}},
        "left": [{"name": name, **(pointed if changed and name == "block 5" else still)} for name in names],
        "words": {str(i): word for i, word in enumerate(WORDS)}}
    lens_files.save(folder, document, arrays)
    return folder


@pytest.fixture
def measured(app, settings, run):
    """The page of that run with its second layer and the drawer open."""
    def opened(*, words: bool = True, changed: bool = True):
        if words:
            put_words(settings, run, changed=changed)
        at = app("features", run=run)
        at.session_state["features_layer"] = "Measure it"
        at.session_state["features_drawer_lens"] = True
        return at.run()

    return opened


def alts(at) -> str:
    return " ".join(str(chart.proto.alt) for chart in at.get("plotly_chart"))


def test_without_words_the_drawer_says_what_makes_them(measured, settings):
    at = measured(words=False)
    assert not at.exception and not at.error
    assert "was not measured yet" in shown(at)
    at.button(key="features_measure_words").click().run()
    assert [job.kind for job in Thaw(settings).runs.all(WORKSPACE, kind=JobKind.FEATURES)] == [JobKind.FEATURES]
    assert "being measured" in shown(at)


def test_blocks_are_read_over_all_rows_and_word_by_word(measured):
    at = measured()
    assert not at.exception and not at.error
    assert "Median place of the true token by block, base model then LoRA" in alts(at)
    assert "**LoRA beside the base model that it started from**" in shown(at)
    assert "After training, on 2 test and validation rows." in shown(at)
    assert "shuffled pairs" in shown(at)
    at.selectbox(key="features_lens_row_all").set_value(1).run()
    assert not at.exception and not at.error
    assert "**Base model" in shown(at) and "**LoRA" in shown(at)
    assert "Table of 3 blocks by 8 tokens" in alts(at)
    at.slider[0].set_value((2, 4)).run()
    assert "Table of 3 blocks by 3 tokens" in alts(at)


def test_of_two_runs_it_is_said_whose_numbers_these_are(measured, app, settings, run):
    """The full run has its own words; the page is on both."""
    folder = Path(Thaw(settings).runs.get(WORKSPACE, run).folder)
    (other,) = [r for r in Thaw(settings).runs.all(WORKSPACE) if r.recipe.method == "probe"]
    theirs = Path(other.folder)
    shutil.rmtree(theirs)
    shutil.copytree(folder, theirs)
    files.write_json(theirs / "recipe.json", dataclasses.replace(other.recipe, base_model="minilm").to_json())
    measured()
    at = app("features", run=run, a=Side(run=other.id).text, b=Side(run=run).text)
    at.session_state["features_layer"] = "Measure it"
    at.session_state["features_drawer_lens"] = True
    at.run()
    assert not at.exception and not at.error, [e.value for e in at.error]
    assert "LoRA alone, not A against B" in shown(at)
    whose = next(one for one in at.button_group if (one.key or "").startswith("features_lens_run_"))
    whose.set_value(other.id).run()
    assert not at.exception and not at.error
    assert "was not measured yet" in shown(at)
    put_words(settings, other.id)
    at.run()
    assert "Linear probe alone, not A against B" in shown(at)


def test_a_text_shows_where_the_models_differ_beside_chance_and_rounding(measured):
    at = measured()
    at.button_group(key="features_lens_part").set_value("change").run()
    assert not at.exception and not at.error
    words = shown(at)
    assert "The two models differ most before" in words
    assert "shuffled pairs): 6.00 nats" in words and "the base model in bf16 from itself in fp32: 0.001 nats" in words
    assert "no other seed of this arm" in words
    rose = next(table.value for table in at.dataframe if "After the words" in table.value.columns)
    assert len(rose) == 8 and set(rose["Stands there"]) == {"yes"}


def test_what_was_left_is_listed_beside_a_random_direction(measured):
    at = measured()
    at.button_group(key="features_lens_part").set_value("left").run()
    assert not at.exception and not at.error
    table = next(table.value for table in at.dataframe if "Random direction" in table.value.columns)
    assert list(table["Word"]) == [" fox", " goose"]
    assert "the other half names 18" in shown(at)
    assert "20.0 % of a typical activation" in alts(at)
    at.select_slider[0].set_value("block 4").run()
    assert "Nothing changed in block 4" in shown(at)


def test_an_untouched_model_is_said_to_be_the_same(measured):
    at = measured(changed=False)
    for part, words in (("change", "Both models say exactly the same"), ("left", "left nothing on unrelated text")):
        at.button_group(key="features_lens_part").set_value(part).run()
        assert not at.exception and not at.error
        assert words in f"{shown(at)} {alts(at)}"


def test_rows_without_labels_hide_numbers_of_labels_and_colour_by_loss_and_group(measured, app, run):
    at = measured()
    for drawer in range(4):
        at.session_state[f"features_drawer_{drawer}"] = True
    at.run()
    assert not at.exception and not at.error
    words = f"{shown(at)} {alts(at)}"
    for hidden in ("k-NN accuracy", "linear probe", "Silhouette", "NC1", "no labels of at least two classes"):
        assert hidden.lower() not in words.lower(), hidden
    assert "context and taught ones alike" in words
    at = app("features", run=run)
    assert list(at.selectbox(key="features_colour").options) == ["change in loss", "typical move", "neighbours kept",
                                                                "group"]
    at.selectbox(key="features_colour").set_value("group").run()
    assert not at.exception and not at.error
    assert "loss fell most" in " ".join(at.selectbox(key="features_kind").options)
    assert "nats a token" in shown(at)
