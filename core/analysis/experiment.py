"""An experiment's runs, read from their folders: which rate stands for an arm, scores, differences, the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core import metrics
from core.analysis import predictions
from core.domain import codec
from core.domain.experiment import Arm, Experiment
from core.domain.run import Interval, Result
from core.metrics import Judged, Metric
from core.metrics import arms as pooled

SPLITS = ("validation", "test", "shift")
Seeds = dict[int, Judged]


def rows(folders: Mapping[int, Path]) -> dict[str, Seeds]:
    """split -> seed -> rows as judged, of one arm at one rate; seeds whose rows are others than the first's are left
    out."""
    found: dict[str, Seeds] = {}
    for split in SPLITS:
        first, same = None, Seeds()
        for seed, folder in folders.items():
            if (each := predictions.read(folder, split)) is not None:
                first = first or each
                if each.same_rows(first):
                    same[seed] = each.judged
        if same:
            found[split] = same
    return found


def chosen_rate(by_rate: Mapping[float, Mapping[str, Mapping[int, Judged]]]) -> float:
    """The factor with the best mean validation score; the usual one where there are no validation rows to choose by,
    and where two are alike. Test rows have no part in it."""
    scored = {rate: score for rate, splits in by_rate.items() if (score := validation_score(splits)) is not None}
    if not scored:
        return min(by_rate, key=lambda rate: abs(rate - 1))
    best = max(scored.values())
    return min((rate for rate, score in scored.items() if score == best), key=lambda rate: abs(rate - 1))


def validation_score(splits: Mapping[str, Mapping[int, Judged]]) -> float | None:
    """Mean over seeds of the metric that decides, turned so that higher is better; None without validation rows."""
    judged = list(splits.get("validation", {}).values())
    return sum(metrics.merit(metrics.values(each)) for each in judged) / len(judged) if judged else None


def deciding(rows_of: Mapping[str, Mapping[str, Mapping[int, Judged]]]) -> list[Metric]:
    """The metrics that every arm has on test rows."""
    judged = [each for splits in rows_of.values() for each in splits.get("test", {}).values()]
    return metrics.shared(judged) if judged else []


def arm_document(arm: Arm, experiment: Experiment, *, rows: Mapping[str, Mapping[int, Judged]], rate: float,
                 results: Sequence[Result], rates: Mapping[float, float | None]) -> dict[str, Any]:
    """One arm as the documents of commands and pages have it.

    results: of its seeds at the chosen rate. rates: factor -> mean validation score, where there were several.
    """
    recipe = arm.recipe
    return {
        "name": arm.name, "label": arm.label, "method": recipe.method, "model": recipe.base_model,
        "seeds": sorted(rows.get("test", rows.get("validation", {}))), "budget": recipe.label_budget, "x": arm.x,
        "rate": rate, "learning_rate": recipe.learning_rate * rate,
        "rates": {f"{factor:g}": score for factor, score in rates.items()} if len(rates) > 1 else {},
        "metrics": {split: {metric.name: codec.to_json(_mean(metric, judged))
                            for metric in metrics.shared(list(judged.values()))} for split, judged in rows.items()},
        "cost": _cost(results), **_forgot(results),
    }


def _forgot(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """Of a language model whose runs measured it: how much worse it predicts general texts than the base model, in nats
    a token, on average and seed by seed."""
    changes = [each.panel_change.value for each in results if each.panel_change is not None]
    return {"forgot": {"value": sum(changes) / len(changes), "seeds": changes}} if changes else {}


def _mean(metric: Metric, judged: Mapping[int, Judged]) -> Interval:
    return pooled.mean(metric, list(judged.values()))


def _cost(results: Sequence[Result]) -> dict[str, float | None]:
    """Means over seeds: seconds of a run on its own, seconds that it adds to others, peak memory, what it trains."""
    def mean(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    return {"cold_s": mean([each.seconds for each in results]),
            "marginal_s": mean([each.marginal_seconds for each in results]),
            "memory_bytes": mean([each.peak_memory_bytes for each in results]),
            "trainable_params": mean([each.trainable_params for each in results])}
