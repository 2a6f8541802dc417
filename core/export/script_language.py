"""The export `script` of a language model: what its pages read besides the recipe, and the tokens that the run read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import files
from core.domain.recipe import Recipe
from core.models import methods

if TYPE_CHECKING:
    from core.export.finished import Finished

PAGE = Path(__file__).with_name("language_page")
TOKENS = "tokens.parquet"
README = """# {title}, as a script

```
pip install -r requirements.txt
python train.py --base BASE_MODEL
```

{what} It writes `predictions.json`: for each test row its loss in nats and how many tokens were taught. It needs
nothing of Thaw. Base model: {base}.

| file | what it is |
|---|---|
| `train.py` | the model, {steps}what it says of the test rows |
| `rows.py` | how rows are put into batches |
| `script.json` | rows by id, {groups}and all else of the recipe |
| `tokens.parquet` | **the rows themselves**, as token ids, and which of them are taught |

Chat templates and masks are applied already: `tokens.parquet` holds what the run read, token by token. Whoever has the
tokenizer can read the rows in it: leave it out where they are not to be handed on. No upload takes it along.

{same}
"""
SOLVED = "It asks the untouched base model: this run trained nothing."
STEPS = ("It begins with the first weights of the run, takes the run's steps on the run's batches, and keeps the step "
         "that the run's rule keeps.")
NOTE = ("tokens.parquet holds the rows as token ids, with what is taught of them: leave it out where rows are not to "
        "be handed on.")


def refused(recipe: Recipe) -> str | None:
    """Why a language model's run has no script, beside what keeps any run from having one."""
    if recipe.forgetting_bound is not None and not methods.card_of(recipe.method).solved:
        return ("Its checkpoint was chosen within a bound on forgetting, which is measured on texts that no page of "
                "code holds.")
    return None


def about(run: Finished) -> tuple[dict[str, Any], Any]:
    """(what the pages read of the recipe and of the model, the network as it is before a method makes it
    trainable)."""
    from core import tasks
    from core.models import tokens
    from core.training import artifact

    recipe, facts = run.recipe, run.facts
    task: Any = tasks.get(recipe.task).load(run.folder / "artifact", run.labels)
    network = task.build(run.base_folder, recipe=recipe, facts=facts, weights=methods.card_of(recipe.method).weights,
                         dropout=0.0, compute_dtype=artifact.compute_dtype(run.labels["precision"]), device="cpu")
    head = network.head
    return task.standalone(recipe, facts, None) | {
        "pad_id": tokens.pad_id(task.processor), "tied": head.tied, "scale": head.scale, "cap": head.cap}, network


def write_tokens(run: Finished, target: Path, found: dict[str, Any]) -> None:
    """`tokens.parquet`: the rows that trained, chose and tested, in the order of the dataset."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from core import tasks

    rows: Any = run.rows
    task: Any = tasks.get(run.recipe.task).load(run.folder / "artifact", run.labels)
    encoded = task.encode(rows, recipe=run.recipe, facts=run.facts, cache=run.settings.cache)
    wanted = {id for part in ("train", "validation", "test") for id in found[part]}
    places = [place for place, id in enumerate(rows.row_ids.tolist()) if id in wanted]
    parts = [slice(encoded.offsets[place], encoded.offsets[place + 1]) for place in places]
    columns = {"row_id": pa.array(rows.row_ids[places], pa.int64()),
               "ids": pa.array([encoded.ids[part].tolist() for part in parts], pa.list_(pa.int32())),
               "taught": pa.array([encoded.arrays["taught"][part].astype(bool).tolist() for part in parts],
                                  pa.list_(pa.bool_()))}
    if rows.groups is not None:
        columns["group"] = pa.array(rows.groups[places], pa.int64())
    with files.replacing(target / TOKENS) as temporary:
        pq.write_table(pa.table(columns), temporary)
