"""The numbers of a comparison as a sortable table and as a CSV file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.api import SeedGroup
from core.domain.run import Result, Run
from core.plots.numbers import measured
from core.spreadsheets import inert, records_to_csv
from pages._ui import arms, guard, shell
from pages._ui.words import word

METRICS = {"accuracy": "accuracy", "macro_f1": "macro-F1"}


def table(runs: Mapping[str, tuple[Run, Result]], names: Mapping[str, str]) -> None:
    """All numbers, sortable, and as a CSV file with full digits."""
    rows = [_row(names[i], run, result) for i, (run, result) in runs.items()]
    config: dict[str, Any] = {
        "Run": st.column_config.TextColumn(pinned=True),
        "Test accuracy": st.column_config.TextColumn(help=word("interval")),
        "Test macro-F1": st.column_config.TextColumn(help=word("macro-F1")),
        "Trained": st.column_config.NumberColumn(format="compact", help=word("trained parameters")),
        "All parameters": st.column_config.NumberColumn(format="compact"),
        "Seconds alone": st.column_config.NumberColumn(format="%.0f", help="Without downloads; passes over the base model that runs share "
                                                                           "are counted at what they took, whoever ran them."),
        "Seconds added": st.column_config.NumberColumn(format="%.0f", help="What the run adds to others: without those passes."),
        "Memory estimated": st.column_config.NumberColumn(format="bytes", help="Before the start."),
        "Memory measured": st.column_config.NumberColumn(format="bytes", help="The run's peak."),
        "Artifact": st.column_config.NumberColumn(format="bytes", help=word("artifact")),
    }
    shown = [k for k in rows[0] if not k.startswith("_")]
    st.dataframe(inert({k: r[k] for k in shown} for r in rows), hide_index=True, column_config=config, key="table",
                 alt=f"Table of {len(rows)} runs: " + "; ".join(f"{r['Run']} test accuracy {r['Test accuracy']}" for r in rows))
    st.download_button("Table as CSV", data=guard.made(lambda: _csv(runs, names)), file_name="thaw-comparison.csv", mime="text/csv",
                       on_click="ignore",
                       icon=":material/download:", key="csv")


def seeds(ws: str, runs: Mapping[str, tuple[Run, Result]]) -> None:
    """Arms with several seeds, each as one line; nothing when every arm has one seed."""
    groups = _seed_groups(ws, tuple((i, result.seconds) for i, (_, result) in runs.items()))
    if not groups:
        return
    st.subheader("Seeds together")
    rows = []
    for group in groups:
        run = runs[group.ids[0]][0]
        row: dict[str, Any] = {"Arm": arms.short(run, seeds=False), "Seeds": len(group.ids)}
        for metric, interval in group.metrics.items():
            row[f"Test {METRICS[metric]}"] = measured(interval.value, interval.low, interval.high)
        rows.append(row)
    st.dataframe(inert(rows), hide_index=True, key="seeds", alt="Arms with several seeds: " + "; ".join(
        f"{row['Arm']}, {row['Seeds']} seeds, test accuracy {row['Test accuracy']}" for row in rows))
    st.caption("Mean over the seeds of an arm. The interval covers the test rows and the seeds: what another test set and another seed "
               "would give. With two or three seeds it still says little about seeds.")


@st.cache_data(max_entries=64, show_spinner=False)
def _seed_groups(ws: str, measured: tuple[tuple[str, float], ...]) -> tuple[SeedGroup, ...]:
    """Kept, since a bootstrap on many rows takes seconds. measured: run ids with their seconds, which change when a run is resumed."""
    return shell.api().experiments.seed_groups(ws, [i for i, _ in measured])


def _row(name: str, run: Run, result: Result) -> dict[str, Any]:
    test = result.metrics.get("test", {})
    row: dict[str, Any] = {"Run": name}
    for split, metrics in result.metrics.items():
        for metric, interval in metrics.items():
            row[f"{split.capitalize()} {METRICS.get(metric, metric)}"] = measured(interval.value, interval.low, interval.high)
    if not test:
        row |= {"Test accuracy": "–", "Test macro-F1": "–"}
    return row | {"Trained": result.trainable_params, "All parameters": result.total_params, "Seconds alone": result.seconds,
                  "Seconds added": result.marginal_seconds,
                  "Memory estimated": result.estimated_memory_bytes, "Memory measured": result.peak_memory_bytes,
                  "Artifact": result.artifact_bytes, "State": run.status.value}


def _csv(runs: Mapping[str, tuple[Run, Result]], names: Mapping[str, str]) -> bytes:
    rows: list[dict[str, Any]] = []
    for i, (run, result) in runs.items():
        row: dict[str, Any] = {"id": i, "run": names[i], "status": run.status.value}
        if run.recipe:
            row |= {"method": run.recipe.method, "seed": run.recipe.seed, "label_budget": run.recipe.label_budget or "all"}
        for split, metrics in result.metrics.items():
            for metric, interval in metrics.items():
                row |= {f"{split}_{metric}": interval.value, f"{split}_{metric}_low": interval.low, f"{split}_{metric}_high": interval.high}
        rows.append(row | {"trainable_params": result.trainable_params, "total_params": result.total_params, "seconds": result.seconds,
                           "marginal_seconds": result.marginal_seconds, "shared_seconds": result.shared_seconds,
                           "estimated_memory_bytes": result.estimated_memory_bytes, "peak_memory_bytes": result.peak_memory_bytes,
                           "artifact_bytes": result.artifact_bytes, "precision": result.precision, "device": result.device,
                           "dataset_hash": result.dataset_hash})
    return records_to_csv(rows).encode()
