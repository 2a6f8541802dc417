"""The numbers of a comparison as a sortable table and as a CSV file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.api import SeedGroup
from core.domain.run import Result, Run, Status
from core.metrics import METRICS, Metric
from core.planning import names as names_of
from core.share import results
from core.spreadsheets import inert, records_to_csv
from pages._ui import guard, leaks, shell
from pages._ui.compare.narrow import Looks
from pages._ui.words import word

MEMORY = word("memory")

CSV_FIELDS = ("trainable_params", "total_params", "seconds", "marginal_seconds", "shared_seconds",
              "estimated_memory_bytes", "peak_memory_bytes", "artifact_bytes", "precision", "device", "dataset_hash")


def table(runs: Mapping[str, tuple[Run, Result]], names: Mapping[str, str],
          without: Mapping[str, str] | None = None, *, looks: Looks | None = None) -> None:
    """All numbers, sortable, and as a CSV file with full digits.

    without: names of runs that ended without a result -> how, in words.
    """
    without = without or {}
    scores = results.scores([result for _, result in runs.values()])
    rows = [results.row(names[i], run, result, scores) for i, (run, result) in runs.items()]
    if looks is not None and looks.group:  # best first within a group, groups by their best
        told = [looks.groups.get(i, "") for i in runs]
        order = sorted(range(len(rows)), key=lambda place: told.index(told[place]))
        rows = [{"Run": rows[place]["Run"], looks.group: told[place]} | rows[place] for place in order]
    rows += [{"Run": name, "State": how, **{metric.heading(split): "–" for split, metric in scores}}
             for name, how in without.items()]
    if all(row["State"] == Status.DONE.value for row in rows):
        rows = [{name: cell for name, cell in row.items() if name != "State"} for row in rows]
    config: dict[str, Any] = {
        "Run": st.column_config.TextColumn(pinned=True),
        **{metric.heading(split): st.column_config.TextColumn(help=metric.explanation) for split, metric in scores},
        "Trained": st.column_config.NumberColumn(format="compact", help=word("trained parameters")),
        "All parameters": st.column_config.NumberColumn(format="compact"),
        "Seconds alone": st.column_config.NumberColumn(format="%.0f", help=results.SECONDS_ALONE),
        "Seconds added": st.column_config.NumberColumn(format="%.0f", help=results.SECONDS_ADDED),
        "Memory estimated": st.column_config.NumberColumn(format="bytes", help=f"Before the start. {MEMORY}"),
        "Memory measured": st.column_config.NumberColumn(format="bytes", help=f"At the highest moment. {MEMORY}"),
        "Artifact": st.column_config.NumberColumn(format="bytes", help=word("artifact")),
    }
    on_test = [metric for split, metric in scores if split == "test"]
    spoken = "; ".join(_spoken(row["Run"], row, on_test) for row in rows)
    st.dataframe(inert(rows), hide_index=True, column_config=config, key="table",
                 alt=f"Table of {len(rows)} runs: {spoken}")
    leaks.caption(shell.workspace(), [run for run, _ in runs.values()], dict.fromkeys(split for split, _ in scores))
    st.download_button("Table as CSV", data=guard.made(lambda: _csv(runs, names, without)),
                       file_name="thaw-comparison.csv", mime="text/csv", on_click="ignore",
                       icon=":material/download:", key="csv")


def seeds(ws: str, runs: Mapping[str, tuple[Run, Result]]) -> None:
    """Arms with several seeds, each as one line; nothing when every arm has one seed."""
    groups = seed_groups(ws, runs)
    if not groups:
        return
    st.header("Seeds together")
    shown = [metric for metric in METRICS if any(metric.name in group.metrics for group in groups)]
    rows = []
    arms = names_of.short([runs[group.ids[0]][0] for group in groups], seeds=False)
    for group in groups:
        row: dict[str, Any] = {"Arm": arms[group.ids[0]], "Seeds": len(group.ids)}
        rows.append(row | {metric.heading("test"): results.text(group.metrics.get(metric.name)) for metric in shown})
    spoken = "; ".join(_spoken(f"{row['Arm']}, {row['Seeds']} seeds,", row, shown) for row in rows)
    config = {metric.heading("test"): st.column_config.TextColumn(help=metric.explanation) for metric in shown}
    st.dataframe(inert(rows), hide_index=True, key="seeds", column_config=config,
                 alt=f"Arms with several seeds: {spoken}")
    st.caption("Mean over the seeds of an arm. The interval covers the test rows and the seeds: what another test set "
               "and another seed would give. With two or three seeds it still says little about seeds.")


def seed_groups(ws: str, runs: Mapping[str, tuple[Run, Result]]) -> tuple[SeedGroup, ...]:
    """Arms among these runs with several seeds, each as one measurement."""
    return _seed_groups(ws, tuple((i, result.seconds) for i, (_, result) in runs.items()))


@st.cache_data(max_entries=64, show_spinner=False)
def _seed_groups(ws: str, measured: tuple[tuple[str, float], ...]) -> tuple[SeedGroup, ...]:
    """Kept, since a bootstrap on many rows takes seconds.

    measured: run ids with their seconds, which change when a run is resumed.
    """
    return shell.api().experiments.seed_groups(ws, [i for i, _ in measured])


def _spoken(name: str, row: Mapping[str, Any], metrics: Sequence[Metric]) -> str:
    """A row in words, with the first of these metrics."""
    return " ".join([name, *(f"{metric.on('test')} {row[metric.heading('test')]}" for metric in metrics[:1])])


def _csv(runs: Mapping[str, tuple[Run, Result]], names: Mapping[str, str], without: Mapping[str, str]) -> bytes:
    rows: list[dict[str, Any]] = []
    for i, (run, result) in runs.items():
        row: dict[str, Any] = {"id": i, "run": names[i], "whole_name": names_of.whole(run), "status": run.status.value}
        if run.recipe:
            row |= {"method": run.recipe.method, "seed": run.recipe.seed,
                    "label_budget": run.recipe.label_budget or "all"}
        for split, metrics in result.metrics.items():
            for metric, interval in metrics.items():
                name = f"{split}_{metric}"
                row |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
        rows.append(row | {field: getattr(result, field) for field in CSV_FIELDS})
    rows += [{"run": name, "status": how} for name, how in without.items()]
    return records_to_csv(rows).encode()
