"""The export `card`: a model card of the run: data by shape, recipe, what was measured, limits; never a row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import tasks
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.domain.run import Interval, Result
from core.export import places, words
from core.export.base import Format, base_of, write
from core.metrics import METRICS
from core.planning import names
from core.planning.knobs import KNOBS, value

if TYPE_CHECKING:
    from core.export.finished import Finished

MOST_CLASSES = 30


class Card:
    """README.md with the front matter that model hubs read."""

    name = "card"
    summary = "a model card: data by shape, recipe, results with intervals, limits; no rows"
    tolerance: float | None = None

    def applies_to(self, recipe: Recipe, facts: ModelFacts | None) -> str | None:
        """See `core.export.base.Format`."""
        return None

    def size_bytes(self, recipe: Recipe, facts: ModelFacts, artifact_bytes: int) -> int:
        """See `core.export.base.Format`."""
        return 100_000

    def write(self, run: Finished, target: Path) -> dict[str, Any]:
        """See `core.export.base.Format`."""
        write(target / "README.md", text(run))
        return {"notes": ["README.md is the card. It quotes no row; class names and column names stand in it."]}


def text(run: Finished) -> str:
    """The card."""
    recipe, result = run.recipe, run.result
    about = {"base_model": run.base_hub_id, "base_model_revision": run.facts.revision}
    parts = [_front(run), f"# {run.name}\n\n{base_of(about)}, {names.method(recipe.method, recipe.task)}, for "
                          f"{tasks.card(recipe.task).label.lower()}. Made with Thaw.", _data(run)]
    parts += [_results(result)] if result else []
    parts += [_certificates(run), _recipe(recipe), _limits(run)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front(run: Finished) -> str:
    kind = "text-generation" if not run.recipe.task.labelled else str(run.recipe.task)
    facts = {"base_model": run.base_hub_id, "library_name": "transformers", "pipeline_tag": kind}
    if run.facts.licence:
        facts["license_of_base_model"] = run.facts.licence
    return "---\n" + "".join(f"{name}: {json.dumps(str(fact), ensure_ascii=False)}\n"
                             for name, fact in facts.items()) + "---"


def _data(run: Finished) -> str:
    dataset = run.dataset
    if dataset is None:
        recorded = run.result.dataset_hash[:16] if run.result else "not recorded"
        return f"## Data\n\nA dataset that is no longer on this machine (content hash `{recorded}`)."
    splits = ", ".join(f"{sum(counts.values()):,} {split}" for split, counts in dataset.counts.items())
    classes = [f"`{name[:60]}`" for name in dataset.classes[:MOST_CLASSES]]
    more = f" and {len(dataset.classes) - MOST_CLASSES} more" if len(dataset.classes) > MOST_CLASSES else ""
    listed = f" {len(dataset.classes)} classes: {', '.join(classes)}{more}." if classes else ""
    licence = f" Licence: {dataset.licence}." if dataset.licence else " No licence was named."
    return (f"## Data\n\n{dataset.rows_kept:,} {tasks.card(run.recipe.task).things} ({splits} rows).{listed}{licence} "
            f"Content hash `{dataset.content_hash[:16]}`. No row of it is part of this card.")


def _results(result: Result) -> str:
    lines = ["## Results", "", "Values with 95 % intervals (bootstrap over rows).", "", "| split | metric | value |",
             "|---|---|---|"]
    for split, scores in result.metrics.items():
        for metric in METRICS:
            if (found := scores.get(metric.name)) is not None:
                beside = result.base.get(split, {}).get(metric.name)
                untouched = f"; untouched model {_said(beside)}" if beside else ""
                lines.append(f"| {split} | {metric.label} | {_said(found)}{untouched} |")
    if "shift" not in result.metrics:
        lines += ["", "It was not measured on another domain."]
    elif result.shift_made:
        lines += ["", f"The shift set is {result.shift_made}: its test rows, changed. It was not measured on another "
                      "domain."]
    if floor := result.noise_floor:
        lines += ["", f"Noise floor (what changes without training, from {floor.get('from', 'rounding')}): "
                      f"{floor.get('target', floor.get('pooled', 'not measured'))} nats a token."]
    if result.panel_change:
        lines += ["", f"Loss on texts that it was not trained on (forgetting): {_said(result.panel_change)} nats a "
                      "token."]
    return "\n".join(lines)


def _said(found: Interval) -> str:
    return f"{found.value:.4g} ({found.low:.4g} to {found.high:.4g})"


def _certificates(run: Finished) -> str:
    from core.export import FORMATS

    found = [(name, there["certificate"]) for name in FORMATS
             if (there := places.found(run.folder, name)) and there["certificate"]]
    if not found:
        return ""
    return "## Certificates of its exports\n\n" + "\n".join(f"- `{name}`: {' '.join(words.said(one)[:2])}"
                                                           for name, one in found)


def _recipe(recipe: Recipe) -> str:
    card = tasks.card(recipe.task)
    rows = {"method": recipe.method, "frozen": names.frozen(recipe), "seed": recipe.seed,
            **{knob.label: value(recipe, knob.field) for knob in KNOBS if card.uses(knob.field)}}
    lines = "\n".join(f"| {name} | {fact} |" for name, fact in rows.items())
    return f"## Recipe\n\n| setting | value |\n|---|---|\n{lines}\n\nDigest `{recipe.digest()}`."


def _limits(run: Finished) -> str:
    precision = run.labels.get("precision", "")
    rows = run.rows
    tested = int((rows.splits == "test").sum()) if rows is not None else 0
    counted = f"It was judged on {tested:,} test rows of the same source as its training rows. " if tested else ""
    return (f"## Limits\n\n{counted}What it does on rows unlike these was not measured unless a shift set is listed "
            f"above. It was trained in {precision}; another precision, length or pooling gives other answers. It says "
            "nothing of fairness between groups: nobody measured that.")


FORMAT: Format = Card()
