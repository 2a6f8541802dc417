"""The export `script`: the recipe as pages of plain code that reproduce the run's test metric."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.domain.dataset import Content, Split
from core.domain.model import ModelFacts, Weights
from core.domain.recipe import ADAMW, Recipe, steps_an_epoch
from core.errors import NotFoundError
from core.export import requirements, script_language
from core.export.base import CLOSE, Format, base_of, copy_recipe, write
from core.models import methods

if TYPE_CHECKING:
    from core.export.finished import Finished

PAGE = Path(__file__).with_name("page")
_README = """# {title}, as a script

```
pip install -r requirements.txt
python train.py --base BASE_MODEL --data rows.parquet
```

{what} It writes `predictions.json` for the test rows, and needs nothing of Thaw. Base model: {base}.

| file | what it is |
|---|---|
| `train.py` | head, steps and predictions |
| `probe.py` | the linear probe that the head starts from |
| `rows.py` | how rows are read and put into batches |
| `script.json` | rows by id, {groups}rates, and all else of the recipe |

`rows.parquet` is the dataset as Thaw keeps it, in the folder of its dataset (columns `row_id`, `label`, and `text` or
`image`: the path of a picture beside it). It is not part of this folder: rows are yours to hand on.

{same}
"""
_SOLVED = "It computes the features of the base model and solves the linear probe."
_STEPS = ("It solves the linear probe for the head to begin with, takes the run's steps on the run's batches, and "
          "keeps the step that the run's rule keeps.")
_DRAWN = ("It begins with the weights that the run drew, takes the run's steps on the run's batches, and keeps the "
          "step that the run's rule keeps.")


class Script:
    """Code without rows; `script.json` says which rows of the dataset were used for what. Of language models, which
    read rows through chat templates and masks, the tokens that the run read lie beside it."""

    name = "script"
    summary = "the recipe as pages of plain code that reproduce the run's test metric"
    tolerance: float | None = CLOSE

    def applies_to(self, recipe: Recipe, facts: ModelFacts | None) -> str | None:
        """See `core.export.base.Format`."""
        if not recipe.task.labelled and (why := script_language.refused(recipe)):
            return why
        if methods.card_of(recipe.method).solved:
            return None
        if methods.get(recipe.method).after_training is not None:
            return "What its method does with the weights after training is Thaw's own code, which no page holds."
        if methods.card_of(recipe.method).replay:
            return "The general texts that it read beside its rows are chosen by Thaw's own code, which no page holds."
        if recipe.augmentation != "off":
            return "Its pictures were augmented by Thaw's own code, which the script would have to bring along."
        if recipe.precision == "fp16" or recipe.optimizer != ADAMW:
            return "It was trained in a way that needs a GPU: fp16, or an optimiser in 8 bits."
        return None

    def size_bytes(self, recipe: Recipe, facts: ModelFacts, artifact_bytes: int) -> int:
        """See `core.export.base.Format`."""
        return 10_000_000

    def write(self, run: Finished, target: Path) -> dict[str, Any]:
        """See `core.export.base.Format`."""
        if run.rows is None:
            raise NotFoundError("The dataset of this run is no longer here.",
                                why="The script names its rows by their ids, which are read from it.",
                                remedy="Import it again, or choose another format.")
        texts = not run.recipe.task.labelled
        rows = _rows(run)
        about = _about(run, _steps(len(rows["train"]), run.recipe)) | rows
        write(target / "script.json", json.dumps(about, ensure_ascii=False))
        copy_recipe(run, target)
        for page in sorted((script_language.PAGE if texts else PAGE).glob("*.py")):
            shutil.copyfile(page, target / page.name)
        requirements.write(run, target, "torch", "transformers", "safetensors", "numpy",
                           *([] if texts else ["scipy", "scikit-learn"]), "pyarrow",
                           *(["peft"] if about["adapter"] else []))
        same = _same(run, about)
        if texts:
            script_language.write_tokens(run, target, about)
            write(target / "README.md", script_language.README.format(
                title=run.name, same=same, what=script_language.STEPS if about["steps"] else script_language.SOLVED,
                base=base_of({"base_model": run.base_hub_id, "base_model_revision": run.facts.revision}),
                steps="the steps, and " if about["steps"] else "",
                groups="parameters that train with their rates, " if about["steps"] else ""))
            return {"notes": [script_language.NOTE, same]}
        write(target / "README.md", _README.format(
            title=run.name, base=base_of({"base_model": run.base_hub_id, "base_model_revision": run.facts.revision}),
            what=_SOLVED if not about["steps"] else _STEPS if about["solved_head"] else _DRAWN, same=same,
            groups="parameters that train with their " if about["steps"] else ""))
        return {"notes": ["The rows are not part of it: train.py is told where they are.", same]}


def _about(run: Finished, total: int) -> dict[str, Any]:
    """`script.json` but for the rows: everything that the pages read of the recipe. total: steps."""
    recipe, facts, card = run.recipe, run.facts, methods.card_of(run.recipe.method)
    own, built = (_classifier if recipe.task.labelled else script_language.about)(run)
    about = own | {
        "base_model": run.base_hub_id, "input": str(recipe.task.content), "seed": recipe.seed,
        "precision": run.labels["precision"], "fixed_width": facts.fixed_width,
        "device": "cuda" if run.on_gpu else "cpu", "steps": not card.solved, "held": str(card.weights), "adapter": None,
        "dropout": 0.0 if card.adapter or card.solved else recipe.dropout, "warmup_ratio": recipe.warmup_ratio,
        "pull": card.pull, "to_base": card.to_base, "contrast": card.contrast,
        **{name: getattr(recipe, name) for name in ("batch_size", "gradient_accumulation", "epochs", "max_grad_norm",
                                                    "evaluations_per_epoch")},
        "patience": recipe.early_stopping_patience}
    if card.weights is Weights.FOUR_BIT:
        from core.export.adapter import SKIPPED

        spec = recipe.quantization
        about["four_bit"] = {"type": spec.type, "double": spec.double, "skip": SKIPPED}
    return about | (_training(built, recipe, total) if about["steps"] else {})


def _classifier(run: Finished) -> tuple[dict[str, Any], Any]:
    """(what the pages read besides, the network as it is before a method makes it trainable)."""
    from core import tasks
    from core.models import architecture, tokens
    from core.training import artifact

    recipe, facts, card = run.recipe, run.facts, methods.card_of(run.recipe.method)
    task: Any = tasks.get(recipe.task).load(run.folder / "artifact", run.labels)
    about = task.standalone(recipe, facts, None) | {
        "pooling": task.pooling(recipe, facts), "width": facts.hidden_size, "solved_head": card.solves_head(recipe),
        "options": architecture.read(run.base_folder).options}
    if recipe.task.content is Content.TEXT:
        about["pad_id"] = tokens.pad_id(task.processor)
    built = task.build(run.base_folder, recipe=recipe, facts=facts, weights=card.weights, dropout=0.0,
                       compute_dtype=artifact.compute_dtype(run.labels["precision"]), device="cpu")
    return about | {"body": type(built.body).__name__, "channels_last": built.channels_last}, built


def _training(network: Any, recipe: Recipe, total: int) -> dict[str, Any]:
    """Which parameters train at which rates, what stays in eval mode, what thaws later, and peft's settings where there
    are adapters."""
    from core.training import thawing
    from core.training.trainer import parameter_groups, pulled

    methods.get(recipe.method).make_trainable(network, recipe)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    modules = {id(module): name for name, module in network.named_modules()}
    groups = [{"lr": group["lr"], "weight_decay": group["weight_decay"], "body": group["body"],
               "names": [names[id(parameter)] for parameter in group["params"]]}
              for group in parameter_groups(network, recipe)]
    config = getattr(network.body, "peft_config", {}).get("default")
    settings = None
    if config is not None:
        settings = _settings(config)
    frozen = []
    for until, waiting in thawing.stages(recipe, network.stack.names, total):
        held, without = network.until_thawed(waiting)
        frozen.append({"until": until, "names": [names[id(parameter)] for parameter in without],
                       "in_eval": _outermost([modules[id(module)] for module in held])})
    return {"groups": groups, "frozen": frozen,
            "pulled": [names[id(parameter)] for parameter in pulled(network, recipe)],
            "in_eval": _outermost([modules[id(module)] for module in network._eval_modules]),
            "adapter": settings}


def _settings(config: Any) -> dict[str, Any]:
    """What a configuration of peft says other than its kind does by itself, and the name of its kind."""
    from peft import PeftConfig

    usual, of_any = type(config)(), {field.name for field in dataclasses.fields(PeftConfig)} - {"task_type"}
    said = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)
            if field.name not in of_any and getattr(config, field.name) != getattr(usual, field.name)}
    return {"kind": type(config).__name__} | {name: sorted(value) if isinstance(value, set) else value
                                              for name, value in said.items()}


def _outermost(names: list[str]) -> list[str]:
    """Those that lie in no other of them."""
    there = set(names)
    return [name for name in names
            if not any(".".join(name.split(".")[:end]) in there for end in range(1, name.count(".") + 1))]


def _rows(run: Finished) -> dict[str, Any]:
    """Ids of the rows that trained, chose and tested, as the run chose them; and in how many steps the head settles."""
    from core import tasks
    from core.planning import budget
    from core.planning.budget import LABELS
    from core.training.trainer import head_first_steps

    recipe, dataset, rows, card = run.recipe, run.dataset, run.rows, methods.card_of(run.recipe.method)
    assert dataset is not None and rows is not None
    task: Any = tasks.get(recipe.task).load(run.folder / "artifact", run.labels)
    train, validation = (task.choose(rows, rows.of(split), size, seed=recipe.seed) for split, size
                         in zip((Split.TRAIN, Split.VALIDATION), budget.of_dataset(recipe, dataset), strict=True))
    total = _steps(len(train), recipe)
    return {"train": rows.row_ids[train].tolist(), "validation": rows.row_ids[validation].tolist(),
            "test": rows.row_ids[rows.of(Split.TEST)].tolist(),
            "labels_counted": recipe.label_budget is not None and recipe.budget_counts == LABELS,
            "settle": head_first_steps(card.head_first, total) if card.head_first else 0}


def _steps(train_rows: int, recipe: Recipe) -> int:
    """Steps of all epochs."""
    return max(1, math.ceil(steps_an_epoch(train_rows, recipe.batch_size, recipe.gradient_accumulation)
                            * recipe.epochs))


def _same(run: Finished, about: dict[str, Any]) -> str:
    """What of the run the script repeats, and what it cannot."""
    if not about["steps"]:
        return ("It reproduces the run's test predictions: a probe is solved, and comes out the same."
                if run.recipe.task.labelled else "It reproduces the run's test predictions: nothing trains.")
    differs = ["sums are rounded in another order, which adds up over the steps"]
    if about["precision"] != "fp32":
        differs.append(f"in {about['precision']} each of them is rounded further")
    if about["device"] == "cuda":
        differs.append("a GPU adds in no fixed order")
    if about["device"] == "cuda" and (about["dropout"] or (about["adapter"] or {}).get("lora_dropout")):
        differs.append("dropout leaves out other numbers")
    return ("Seed, first weights, order of rows, rates and the rule for the step to keep are the run's; "
            f"{'; '.join(differs)}. So single predictions may differ; the certificate compares the metric.")


FORMAT: Format = Script()
