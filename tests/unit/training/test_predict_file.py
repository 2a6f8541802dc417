"""A whole file answered by a run: every row is in the table, with its label, or with why it was left out."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from core import files
from core.domain.dataset import Dataset
from core.domain.recipe import Recipe
from core.domain.side import Side
from core.errors import DataError
from core.settings import Settings
from core.training import artifact, predict_file
from core.training.execute import execute
from tests import tiny
from tests.conftest import WORKSPACE, Notes


def test_every_row_is_answered_or_named(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                        tmp_path: Path) -> None:
    run = tmp_path / "run"
    recipe = Recipe(dataset=tiny_dataset.id, base_model=str(tiny_model), method="probe", precision="fp32",
                    max_length=32)
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=run, observer=Notes())
    texts, _ = tiny.make_texts(150)
    upload = settings.workspace(WORKSPACE) / "uploads" / "one" / "new.csv"
    upload.parent.mkdir(parents=True)
    with upload.open("w", newline="") as out:
        csv.writer(out).writerows([["text"], *([text] for text in texts), [""], ["=goal()"],
                                  ["goal " * 500]])
    notes = Notes()
    predict_file.predict({"run": str(run), "path": str(upload), "text": ""}, settings=settings, workspace=WORKSPACE,
                         folder=tmp_path / "job", observer=notes)
    text = (tmp_path / "job" / predict_file.TABLE).read_text(encoding="utf-8-sig")
    table = list(csv.DictReader(io.StringIO(text)))
    summary = files.read_json(tmp_path / "job" / predict_file.SUMMARY)
    assert [int(row["row"]) for row in table] == list(range(1, 154))
    assert table[150]["left out"] and not table[150]["label"] and table[151]["text"] == "'=goal()"
    assert (summary["rows_read"], summary["predicted"], summary["left_out"]) == (153, 152, 1)
    model = artifact.load(Side.of(run), settings=settings)
    long = 1 + sum(len(model.task.processor(text)["input_ids"]) > 32 for text in texts)
    assert f"{long} texts are longer than the 32 tokens" in summary["notes"][0] and "has 502." in summary["notes"][0]
    expected = model.predict(texts)
    assert [row["label"] for row in table[:150]] == [answer["label"] for answer in expected]
    answered = [row for row in table if row["label"]]
    shares = np.array([[float(row[f"p({name})"]) for name in tiny_dataset.classes] for row in answered])
    margins = np.diff(np.sort(shares, 1)[:, -2:], axis=1)[:, 0]
    by_doubt = [margins[at] for at in np.argsort([int(row["doubt"]) for row in answered])]
    assert np.all(np.diff(by_doubt) >= -2e-6) and sorted(int(row["doubt"]) for row in answered) == list(range(1, 153))
    assert summary["temperature"] is None and "confidence" not in table[0], "18 validation rows are too few"
    assert len(summary["doubtful"]) == predict_file.DOUBTED and summary["doubtful"][0]["doubt"] == 1
    assert summary["unlike"] is None and table[0]["unlike training"] == "", "nor do they set a limit"
    assert float(table[0]["distance"]) >= 0
    assert not upload.exists(), "the upload is removed once it was read"

    class Stopping(Notes):
        """Wants to stop after the first piece of work."""

        def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
            self.stop_at = 0

    upload.parent.mkdir(parents=True)
    upload.write_text("text\n" + "".join(f"{text}\n" for text in texts))
    predict_file.predict({"run": str(run), "path": str(upload)}, settings=settings, workspace=WORKSPACE,
                         folder=tmp_path / "stopped", observer=Stopping())
    stopped = files.read_json(tmp_path / "stopped" / predict_file.SUMMARY)
    assert (stopped["rows_read"], stopped["predicted"], stopped["left_out"]) == (150, 128, 22)
    assert stopped["reasons"] == {"it was stopped before this row": 22}
    rest = (tmp_path / "stopped" / predict_file.TABLE).read_text(encoding="utf-8-sig").splitlines()[129:]
    assert len(rest) == 22 and all("stopped before this row" in line for line in rest)

    upload.parent.mkdir(parents=True)
    upload.write_text("a,b\n1,2\n")
    with pytest.raises(DataError) as refused:
        predict_file.predict({"run": str(run), "path": str(upload), "text": "nothing"}, settings=settings,
                             workspace=WORKSPACE, folder=tmp_path / "job", observer=notes)
    assert refused.value.why and refused.value.remedy
