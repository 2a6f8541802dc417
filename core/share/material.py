"""What a report is made of: finished runs, and everything that pages say of them, gathered before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.analysis.comparison import Comparison, SeedGroup
from core.analysis.experiment_card import Card
from core.analysis.feature_comparison import FeatureComparison
from core.analysis.samples import Samples
from core.analysis.verdict import Verdict
from core.domain.dataset import Dataset
from core.domain.run import Result, Run
from core.plots.learn_forget import Point
from core.plots.theme import Chart


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What an experiment says."""

    question: str
    sentence: str
    charts: Sequence[Chart]
    card: Card


@dataclass(frozen=True, kw_only=True)
class Material:
    """Runs with their results, best first, and what else was found out of them."""

    title: str
    runs: Mapping[str, tuple[Run, Result]]
    called: Mapping[str, str]
    """Run id -> its name among these runs."""
    without: Mapping[str, str]
    """Name of each run that ended without a result -> how it ended."""
    comparison: Comparison
    groups: Sequence[SeedGroup] = ()
    datasets: Mapping[str, Dataset | None]
    """Run id -> its dataset; None where that is gone."""
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    forgotten: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Run id -> its forgetting panel, a row a domain."""
    learned: Sequence[Point] = ()
    samples: Mapping[str, Samples] = field(default_factory=dict)
    paired: Sequence[str] = ()
    """Sentences of paired tests."""
    answered: Sequence[Answered] = ()
    features: Mapping[str, Callable[[], FeatureComparison]] = field(default_factory=dict)
    """Run id -> its model beside its base model, of the runs whose features are there; made when it is their turn,
    since features are large."""
    no_features: Mapping[str, str] = field(default_factory=dict)
    """Run id -> why there is no map of it."""
