"""Made shift sets: the test rows changed by a stated rule, named as made, row by row comparable."""

from __future__ import annotations

import colorsys
import dataclasses
import json
import re
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.cli import make_shift as command
from core.data import (
    attach,
    import_job,
    ingest,
    library,
    made,
    made_shift,
    mending,
    mends,
    roles,
    tables,
    versions,
)
from core.data.ingest import read_dataset
from core.domain import codec
from core.domain.dataset import SEVERITIES, Content, Dataset, Made, Shape, Task
from core.errors import DataError
from core.settings import Settings
from tests.conftest import WORKSPACE, Notes, write_dataset

TEXTS = ("The quick brown fox jumps over the lazy dog, and then it sleeps.", "NATO and the EU met in Paris on Monday.")
SENTENCE = " ".join(["Some words that people could have written about their long day in the office."] * 20)
OF_TEXTS = [name for name, kind in made.REGISTRY.items() if kind.content is Content.TEXT]
OF_PICTURES = [name for name, kind in made.REGISTRY.items() if kind.content is Content.PICTURE]


def scene(side: int) -> Any:
    """Gradients and an edge, uint8 (side, side, 3), as bright as a photograph."""
    x, y = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side))
    values = np.stack([0.2 + 0.5 * x, 0.1 + 0.6 * y, 0.3 + 0.3 * np.sin(40 * x * y)], axis=2)
    values[side // 4: side // 2, side // 4: side // 2] = (0.8, 0.1, 0.2)
    return (np.clip(values, 0, 1) * 255).astype(np.uint8)


def changed(name: str, content: Any, severity: int, seed: int = 0) -> Any:
    return made.get(name).change(content, severity, np.random.default_rng([seed, 7]))


def edits(a: str, b: str) -> int:
    """Levenshtein distance, letter by letter."""
    line = np.arange(len(b) + 1)
    for i, letter in enumerate(a, 1):
        least = np.minimum(line[1:] + 1, line[:-1] + (np.array(list(b)) != letter))
        new = np.concatenate([[i], least])
        line = np.minimum.accumulate(new - np.arange(len(new))) + np.arange(len(new))
    return int(line[-1])


# -- rules -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_PICTURES)
@pytest.mark.parametrize("side", [28, 128])
def test_pictures_move_further_with_each_severity(name: str, side: int) -> None:
    clean = scene(side)
    assert np.array_equal(changed(name, clean, 0), clean)
    distances = []
    for severity in SEVERITIES:
        found = changed(name, clean, severity)
        assert found.shape == clean.shape and found.dtype == np.uint8
        assert np.array_equal(found, changed(name, clean, severity)), "the same seed, the same bytes"
        distances.append(float(np.abs(found.astype(float) - clean).mean()))
    assert distances == sorted(distances) and distances[0] > 0 and distances[-1] > 1.2 * distances[0]


@pytest.mark.parametrize("name", OF_TEXTS)
def test_texts_move_further_with_each_severity(name: str) -> None:
    assert changed(name, SENTENCE, 0) == SENTENCE
    distances = [edits(SENTENCE, changed(name, SENTENCE, severity)) for severity in SEVERITIES]
    assert distances == sorted(distances) and distances[0] > 0 and distances[-1] > 2 * distances[0]
    assert changed(name, SENTENCE, 3) == changed(name, SENTENCE, 3)
    assert all(changed(name, empty, 5) == empty for empty in ("", " "))


def test_numbers_are_those_of_the_paper() -> None:
    """Severity 3 of ImageNet-C and of CIFAR-10-C, computed here by hand."""
    large, small = scene(128), scene(28)
    mean = (large / 255).mean(axis=(0, 1), keepdims=True)
    assert np.array_equal(changed("contrast", large, 3), (((large / 255 - mean) * 0.2 + mean) * 255).astype(np.uint8))
    noise = changed("gaussian-noise", np.full((128, 128, 3), 128, np.uint8), 3).astype(float)
    assert noise.std() / 255 == pytest.approx(0.18, rel=0.05)
    assert (changed("gaussian-noise", np.full((60, 60, 3), 128, np.uint8), 3).astype(float).std() / 255
            == pytest.approx(0.08, rel=0.05))
    brighter = changed("brightness", small, 3)
    for at in ((0, 0), (10, 9), (27, 20)):
        hue, saturation, value = colorsys.rgb_to_hsv(*(small[at] / 255))
        wanted = np.array(colorsys.hsv_to_rgb(hue, saturation, min(1.0, value + 0.15))) * 255
        np.testing.assert_allclose(brighter[at], wanted, atol=1)
    assert (changed("brightness", np.zeros((28, 28, 3), np.uint8), 5) == int(0.3 * 255)).all()
    again = Image.fromarray(large).resize((51, 51), Image.Resampling.BOX).resize((128, 128), Image.Resampling.BOX)
    assert np.array_equal(changed("pixelate", large, 3), np.asarray(again))


def test_a_blur_is_in_proportion_to_the_side() -> None:
    """A point of 224 pixels is spread by two pixels at severity 2; of 448, by four."""
    for side, sigma in ((224, 2.0), (448, 4.0), (32, 0.6)):
        point = np.zeros((side + 1, side + 1, 3), np.uint8)
        point[side // 2, :] = 255                                    # a line, so that its height says the spread
        profile = changed("gaussian-blur", point, 2)[:, side // 2, 0].astype(float)
        if sigma < 1:
            assert 100 < profile.max() < 255
        else:
            assert profile.max() == pytest.approx(255 / (np.sqrt(2 * np.pi) * sigma), abs=2)


def test_typos_are_neighbours_swaps_and_omissions_at_the_stated_rate() -> None:
    text = "abcdefghij" * 500
    for severity, rate in zip(SEVERITIES, (0.02, 0.04, 0.08, 0.12, 0.16), strict=True):
        found = changed("typos", text, severity)
        missing = len(text) - len(found)
        # a third of the places lose a letter; after a swap the second letter is not looked at again
        assert missing / len(text) == pytest.approx(rate / 3, rel=0.35)
    from core.data.made.typos import NEIGHBOURS

    assert set(NEIGHBOURS["g"]) == set("fhtyvb") and set(NEIGHBOURS["q"]) == set("wa")
    assert all(key in NEIGHBOURS[other] for key, near in NEIGHBOURS.items() for other in near)
    assert changed("typos", "12 + 34 = 46", 5) == "12 + 34 = 46"


def test_case_and_truncation_do_what_they_say() -> None:
    assert changed("case", TEXTS[1], 5) == "nato AND THE eu MET IN PARIS ON MONDAY."
    assert changed("truncation", "one two three four five six seven eight nine ten", 3) == "one two three four"
    assert changed("truncation", "  one   two", 5) == "  one"


# -- datasets ----------------------------------------------------------------------------------------------------------


def rows_of(dataset: Dataset, settings: Settings, split: str) -> Any:
    return library.read_rows(dataset, settings=settings, workspace=WORKSPACE, split=split)


@pytest.fixture(params=["text", "picture"])
def base(request: pytest.FixtureRequest, settings: Settings, archive: Callable[..., Path],
         picture: Callable[..., bytes]) -> Dataset:
    if request.param == "text":
        return write_dataset(settings, n_rows=90)
    table = tables.read(archive({f"{'ab'[i % 2]}/{i}.png": picture(i) for i in range(60)}), settings=settings)
    found = {name: proposal.role for name, proposal in roles.choose(table).items()}
    return ingest.ingest(table, roles=found, name="shapes", settings=settings, workspace=WORKSPACE)[0]


def make(dataset: Dataset, settings: Settings, **changes: Any) -> Dataset:
    kind = "typos" if dataset.task.content is Content.TEXT else "contrast"
    return made_shift.make(dataset, settings=settings, workspace=WORKSPACE,
                           **{"kind": kind, "severity": 3} | changes).dataset


def test_the_test_rows_become_the_shift_set_with_their_labels_and_numbers(base: Dataset, settings: Settings) -> None:
    result = make(base, settings)
    assert {split: rows for split, rows in result.counts.items() if split != "shift"} == base.counts
    assert result.counts["shift"] == base.counts["test"] and result.classes == base.classes
    assert result.shift_called == f"made: {result.made.kind}, severity 3" and not base.shift_called  # type: ignore[union-attr]
    assert "made: " in result.source and result.name == base.name
    test, shift = (rows_of(result, settings, split) for split in ("test", "shift"))
    offset = max(library.read_rows(base, settings=settings, workspace=WORKSPACE)["row_id"].to_pylist())
    assert [row - offset for row in shift["row_id"].to_pylist()] == test["row_id"].to_pylist()
    assert shift["label"].to_pylist() == test["label"].to_pylist()
    content = "text" if "text" in test.column_names else "image"
    different = [a != b for a, b in zip(test[content].to_pylist(), shift[content].to_pylist(), strict=True)]
    assert np.mean(different) > 0.9
    assert rows_of(result, settings, "train").equals(rows_of(base, settings, "train"))
    library.verify(result, settings=settings, workspace=WORKSPACE)
    said = library.read_report(result, settings=settings, workspace=WORKSPACE).findings[0].message
    assert said == f"Shift set: {base.rows('test')} rows of {result.shift_called}."
    note = versions.before(library.folder(result, settings=settings, workspace=WORKSPACE))
    assert note is not None and note[0] == base.id and note[1].changes.added == base.rows("test")


def test_the_same_seed_gives_the_same_dataset_and_another_another(settings: Settings) -> None:
    base = write_dataset(settings, n_rows=90)
    first, again = make(base, settings), make(base, settings)
    assert first == again
    others = [make(base, settings, seed=1), make(base, settings, severity=4), make(base, settings, kind="case")]
    assert len({first.content_hash, *(other.content_hash for other in others)}) == 4
    assert others[0].shift_called == "made: typos, severity 3, seed 1"


def test_a_made_shift_set_is_never_taken_for_a_real_one(settings: Settings, base: Dataset) -> None:
    result = make(base, settings)
    folder = library.folder(result, settings=settings, workspace=WORKSPACE)
    assert read_dataset(folder).made == result.made
    assert codec.read(Dataset, {key: value for key, value in codec.to_json(base).items() if key != "made"}) == base
    with pytest.raises(DataError, match="already has a shift set"):
        make(result, settings)
    if base.task.content is Content.PICTURE:
        return
    import_job.run(import_job.recheck_payload(result.id), settings=settings, workspace=WORKSPACE,
                   folder=folder.parent / "job", observer=Notes())
    off = mending.mend(result, [mends.Step(mend="take-off-shift")], settings=settings, workspace=WORKSPACE)
    assert off.shift_called == "" and not off.rows("shift")
    other = write_dataset(settings, n_rows=60)
    real = attach.attach(off, other, settings=settings, workspace=WORKSPACE).dataset
    assert real.rows("shift") and real.made is None and real.shift_called == ""


def test_what_cannot_be_made_says_why(settings: Settings) -> None:
    base = write_dataset(settings, n_rows=90)
    for changes, why in (({"kind": "gaussian-noise"}, "typos, case, truncation"), ({"severity": 6}, "1 .weak. to 5"),
                         ({"kind": "fog"}, "There are: gaussian-noise")):
        with pytest.raises(DataError) as caught:
            make(base, settings, **changes)
        assert re.search(why, caught.value.why or "")
    with pytest.raises(DataError, match="no test rows"):
        make(write_dataset(settings, n_rows=60, without=("test",)), settings)
    chat = dataclasses.replace(base, task=Task.on(Content.TEXT, labelled=False), shape=Shape.CHAT)
    assert made.kinds_for(chat) == ()


def test_the_job_and_the_command_make_the_same(settings: Settings, capsys: pytest.CaptureFixture[str],
                                               tmp_path: Path) -> None:
    base = write_dataset(settings, n_rows=90)
    done = import_job.run(import_job.made_payload(base.id, kind="typos", severity=2), settings=settings,
                          workspace=WORKSPACE, folder=tmp_path, observer=Notes())
    asked = Namespace(dataset=base.id, kind="typos", severity=2, seed=0, workspace=WORKSPACE, json=True)
    assert command.run(asked, settings) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["dataset"] == done["dataset"] and said["before"] == base.id
    assert (said["shift"], said["rows"]) == ("made: typos, severity 2", 18)


def test_what_it_is_called() -> None:
    assert Made(kind="typos", severity=3).called == "made: typos, severity 3"
    assert all(kind.explains.endswith(".") and kind.source and len(kind.explains) < 300
               for kind in made.REGISTRY.values())
