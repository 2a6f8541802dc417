"""The export `script`: the recipe as a page of plain code that reproduces the run's test predictions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.domain.dataset import Content, Split
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.errors import NotFoundError
from core.export.base import CLOSE, Format, base_of, write
from core.models import methods

if TYPE_CHECKING:
    from core.export.finished import Finished

TRAIN = "train.py"
_README = """# {title}, as a script

`python train.py --base BASE_MODEL --data rows.parquet` computes the features of {base}, solves the linear probe, and
writes `predictions.json` for the test rows. It needs `pip install torch transformers scikit-learn pyarrow`, and nothing
of Thaw.

`rows.parquet` is the dataset as Thaw keeps it, in the folder of its dataset (columns `row_id`, `text`, `label`). It is
not part of this folder: rows are yours to hand on. `script.json` names, by row id, which rows trained, chose the
strength, and tested.
"""


class Script:
    """Code without rows; `script.json` says which rows of the dataset were used for what."""

    name = "script"
    summary = "the recipe as a page of plain code that reproduces the run's test predictions"
    tolerance: float | None = CLOSE

    def applies_to(self, recipe: Recipe, facts: ModelFacts | None) -> str | None:
        """See `core.export.base.Format`."""
        if not methods.card_of(recipe.method).solved:
            return ("What a run learns in steps depends on the order of its rows and on rounding in each step: a page "
                    "of plain code would not reproduce it exactly. Runs of the linear probe, which is solved, can be "
                    "written so.")
        if recipe.task.content is not Content.TEXT or not recipe.task.labelled:
            return "Only classifiers of texts can be written so."
        if facts is not None and facts.fixed_width:
            return "This base model reads rows filled up to one width, which the script does not do."
        return None

    def size_bytes(self, recipe: Recipe, facts: ModelFacts, artifact_bytes: int) -> int:
        """See `core.export.base.Format`."""
        return 10_000_000

    def write(self, run: Finished, target: Path) -> dict[str, Any]:
        """See `core.export.base.Format`."""
        rows = run.rows
        if rows is None:
            raise NotFoundError("The dataset of this run is no longer here.",
                                why="The script names its rows by their ids, which are read from it.",
                                remedy="Import it again, or choose another format.")
        train, validation = _chosen(run, rows)
        recipe, facts = run.recipe, run.facts
        about = {"base_model": run.base_hub_id, "classes": list(run.labels["classes"]), "seed": recipe.seed,
                 "max_length": min(recipe.max_length, facts.max_length), "precision": run.labels["precision"],
                 "pooling": facts.pooling if recipe.pooling == "auto" else recipe.pooling,
                 "train": train, "validation": validation,
                 "test": rows.row_ids[rows.of(Split.TEST)].tolist()}
        write(target / "script.json", json.dumps(about))
        shutil.copy2(run.folder / "recipe.json", target / "recipe.json")
        shutil.copyfile(Path(__file__).with_name("standalone_probe.py"), target / TRAIN)
        base = base_of({"base_model": run.base_hub_id, "base_model_revision": facts.revision})
        write(target / "README.md", _README.format(title=run.name, base=base))
        return {"notes": ["The rows are not part of it: train.py is told where they are."]}


def _chosen(run: Finished, rows: Any) -> tuple[list[int], list[int]]:
    """Ids of the rows that trained, and of those that chose the strength: as the run chose them."""
    from core import tasks
    from core.planning import budget
    from core.planning.budget import LABELS

    recipe, dataset = run.recipe, run.dataset
    assert dataset is not None  # its rows are
    task: Any = tasks.get(recipe.task).load(run.folder / "artifact", run.labels)
    train, validation = (task.choose(rows, rows.of(split), size, seed=recipe.seed) for split, size
                         in zip((Split.TRAIN, Split.VALIDATION), budget.of_dataset(recipe, dataset), strict=True))
    if recipe.label_budget is not None and recipe.budget_counts == LABELS:
        validation = validation[:0]  # its labels are counted: the strength is chosen on training rows alone
    return rows.row_ids[train].tolist(), rows.row_ids[validation].tolist()


FORMAT: Format = Script()
