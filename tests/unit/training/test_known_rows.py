"""The training rows nearest to an input, and the rule for inputs unlike all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.domain.dataset import Split
from core.domain.recipe import Recipe
from core.domain.side import Side, Which
from core.errors import NotFoundError
from core.serving import rows as serving
from core.settings import Settings
from core.training import artifact, known_rows
from core.training.execute import execute
from core.training.session import read_rows
from tests import tiny
from tests.conftest import WORKSPACE, Notes, write_dataset, write_picture_dataset

NONSENSE = [f"zq{n} vx{n} {'kj' * (n % 7 + 1)} qqq" for n in range(60)]


def trained(settings: Settings, dataset, model: Path, run: Path, **fields: object) -> Path:
    recipe = Recipe(**{"dataset": dataset.id, "base_model": str(model), "method": "probe", "precision": "fp32",
                       "max_length": 32, "task": dataset.task, **fields})
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=run, observer=Notes())
    return run


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_nearest_rows_and_the_limit_are_those_of_a_plain_search(settings: Settings, tiny_model: Path,
                                                                    tmp_path: Path, precision: str,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = write_dataset(settings, n_rows=250)
    run = trained(settings, dataset, tiny_model, tmp_path / "run", precision=precision)
    model = artifact.load(Side.of(run), settings=settings)
    known = known_rows.of(model, run, key=["k"], settings=settings, workspace=WORKSPACE)
    rows = read_rows(dataset, settings=settings, workspace=WORKSPACE)
    train = known_rows.features(model, [rows.content[at] for at in rows.of(Split.TRAIN)])
    held, test = (known_rows.features(model, [rows.content[at] for at in rows.of(split)])
                  for split in (Split.VALIDATION, Split.TEST))
    fifth = [np.sort(1 - side @ train.T, axis=1)[:, 4] for side in (held, test)]
    assert known.limit == pytest.approx(np.percentile(fifth[0], 95), abs=1e-5)
    assert known.false_alarms == pytest.approx(np.mean(fifth[1] > known.limit), abs=0.021)
    found = known.nearest(test[:7], most=3)
    for line, near in zip(1 - test[:7] @ train.T, found, strict=True):
        assert [each.distance for each in near.rows] == pytest.approx(np.maximum(np.sort(line)[:3], 0), abs=1e-5)
        place = int(np.argmin(line))
        assert near.rows[0].row_id == rows.row_ids[rows.of(Split.TRAIN)[place]]
        assert near.rows[0].label == rows.classes[rows.labels[rows.of(Split.TRAIN)[place]]]
    nonsense = known.nearest(known_rows.features(model, NONSENSE))
    flagged = np.mean([bool(near.unlike) for near in nonsense])
    assert flagged > 0.8 and flagged > 4 * known.false_alarms, "words the training rows never had"
    again = known_rows.of(model, run, key=["k"], settings=settings, workspace=WORKSPACE)
    assert (again.limit, again.false_alarms) == (known.limit, known.false_alarms)
    assert {(near.compared, near.trained_on) for near in found} == {(len(train), len(train))}
    monkeypatch.setitem(known_rows.MOST_ROWS, Split.TRAIN, 40)
    part = known_rows.of(model, run, key=["fewer"], settings=settings, workspace=WORKSPACE)
    assert {(near.compared, near.trained_on) for near in part.nearest(test[:7])} == {(40, len(train))}


def test_only_rows_that_were_trained_on_count_and_few_validation_rows_set_no_limit(
        settings: Settings, tiny_model: Path, tmp_path: Path) -> None:
    dataset = write_dataset(settings, n_rows=90)
    run = trained(settings, dataset, tiny_model, tmp_path / "run", label_budget=12)
    with pytest.raises(NotFoundError, match="cannot be found"):
        serving.of(Side.of(run), ["goal match"], settings, nearest=4)
    said = serving.of(Side.of(run), ["goal match"], settings, nearest=4, workspace=WORKSPACE)
    assert said.nearest[0].limit is None and said.nearest[0].unlike is None and len(said.nearest[0].rows) == 4
    model = artifact.load(Side.of(run, Which.BASE), settings=settings)
    assert len(known_rows.of(model, run, key=["b"], settings=settings, workspace=WORKSPACE).features) == 12


def test_pictures_are_named_by_their_files(settings: Settings, tmp_path: Path) -> None:
    dataset = write_picture_dataset(settings, n_rows=30)
    run = trained(settings, dataset, tiny.vit(tmp_path / "vit"), tmp_path / "run", max_length=0)
    model = artifact.load(Side.of(run), settings=settings)
    known = known_rows.of(model, run, key=["p"], settings=settings, workspace=WORKSPACE)
    row = known.rows.content[int(known.places[0])]
    [near] = known.nearest(known_rows.features(model, [row]), most=1)
    assert near.rows[0].picture and Path(near.rows[0].content).is_file()
    assert near.rows[0].distance == pytest.approx(0, abs=1e-5)
