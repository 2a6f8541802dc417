"""How the numbers of a report were made: recipes, rules of measuring, versions."""

from __future__ import annotations

import json
import platform
from typing import Any

import core
from core.analysis import downloads
from core.metrics import METRICS
from core.plots.numbers import duration
from core.share import private, results
from core.share.document import Document
from core.share.material import Material


def recipes(document: Document, material: Material) -> None:
    """What the recipes differ in, and each of them whole."""
    document.heading("Recipes")
    if material.comparison.differences:
        called = [material.called[id] for id in material.comparison.ids]
        document.table([{"Setting": results.setting(field)} |
                        {name: results.setting_text(_plain(field, value))
                         for name, value in zip(called, values, strict=True)}
                        for field, values in material.comparison.differences.items()],
                       caption="Settings in which the recipes differ")
    for id, (run, _) in material.runs.items():
        if run.recipe is not None:
            recipe = run.recipe.to_json() | {"base_model": private.model(run.recipe.base_model)}
            document.folded(f"Whole recipe of {material.called[id]}",
                            json.dumps(recipe, indent=1, ensure_ascii=False))


def _plain(field: str, value: Any) -> Any:
    return private.model(value) if field == "base_model" else value


def how(document: Document, material: Material) -> None:
    """How it was measured, with which versions."""
    document.heading("How it was measured")
    used = [each for each in METRICS if any(each.name in scores for _, result in material.runs.values()
                                            for scores in result.metrics.values())]
    document.list([
        "Training rows teach the model, validation rows choose the checkpoint that is kept, test rows judge once at "
        "the end. A shift set is another domain that no run is trained on.",
        "Intervals hold the true value in 95 of 100 repetitions, from resampling the rows that were judged "
        "(bootstrap). Two runs are compared row by row on the same test rows: exact McNemar test where rows are "
        "right or wrong, else a bootstrap over rows.",
        *(f"{each.label[:1].upper()}{each.label[1:]}: {each.explanation}" for each in used),
        *_floors(material),
        *(f"{material.called[id]}: {result.precision} on {result.device}, {duration(result.seconds)} without "
          f"downloads, {result.steps:,} steps, {result.samples:,} rows seen." for id, (_, result)
          in material.runs.items())])
    document.table([{"Package": name} | versions
                    for name, versions in _versions(material).items()], caption="Versions that made these numbers")


def _floors(material: Material) -> list[str]:
    """The noise floors, each with where it comes from."""
    said = []
    for id, (_, result) in material.runs.items():
        floor = result.noise_floor
        if isinstance(floor.get("target"), float):
            said.append(f"Noise floor of {material.called[id]} (what changes without any training, from "
                        f"{floor.get('from') or 'rounding'}): {floor['target']:.4f} nats on its own rows.")
    return said


def _versions(material: Material) -> dict[str, dict[str, str]]:
    """Package -> where -> version: in the runs (all that occur), and for this file."""
    ran: dict[str, dict[str, None]] = {}
    for _, result in material.runs.values():
        for name, version in result.versions.items():
            ran.setdefault(name, {})[version] = None
    here = downloads.versions() | {"thaw": core.__version__, "python": platform.python_version()}
    return {name: {"In the runs": ", ".join(ran.get(name, {})) or "–", "For this file": here.get(name, "–")}
            for name in dict.fromkeys([*sorted(ran), *here])}

