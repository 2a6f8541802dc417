"""Runs: one recipe executed once, its states, phases and events."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from core.domain.recipe import Recipe
from core.errors import FailureKind


class Status(StrEnum):
    """Life of a job in the queue."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    DONE = "done"
    STOPPED = "stopped"
    """Stopped by a person: the best checkpoint was kept and evaluated when there was one."""
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    """The worker died; can be resumed."""

    @property
    def final(self) -> bool:
        return self in (Status.DONE, Status.STOPPED, Status.FAILED, Status.INTERRUPTED)

    @property
    def resumable(self) -> bool:
        return self in (Status.STOPPED, Status.FAILED, Status.INTERRUPTED)


class Phase(StrEnum):
    """What a worker is doing now, in this order."""

    FETCHING = "fetching"
    PREPARING = "preparing"
    CACHING = "caching features"
    TRAINING = "training"
    EVALUATING = "evaluating"
    SAVING = "saving"
    FEATURES = "comparing features"
    """What training did to the features, made ready for the Features page; a run whose result is known already."""


class JobKind(StrEnum):
    """What a worker can be asked to do."""

    TRAIN = "train"
    PREPARE = "prepare"
    """Fetch and inspect a base model, or fetch and ingest a bundled dataset."""
    IMPORT = "import"
    """Read, check and keep a person's file or a hub set; see `core.data.import_job.payload`."""
    FEATURES = "features"
    """Extract the features of a finished run at every block."""
    STRENGTH = "strength"
    """Turn the trained change of a run up and down, and measure it; see `core.training.strength_curve`."""
    MASK = "mask"
    """Say which tokens of a dataset teach a base model; see `core.api.teaching`."""
    EXPORT = "export"
    """Write a finished run's model for use elsewhere: {"run": id, "folder": of the run, "as": format}."""
    PREDICT = "predict"
    """Answer every row of an uploaded file with a run's model; see `core.training.predict_file`."""
    TRIAL = "trial"
    """Take one step of a recipe, to see what a run of it would need; see `core.api.trials`."""
    UNKNOWN = "unknown"
    """Of another version of Thaw, or damaged: nobody works on it, and it can be deleted."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a run ended early, in the three parts a page shows."""

    kind: FailureKind
    what: str
    why: str = ""
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One row of the queue. `recipe` is None for jobs that are not of kind train."""

    id: str
    workspace: str
    kind: JobKind
    name: str
    status: Status
    folder: str
    """Absolute path of the run folder."""
    experiment: str | None = None
    recipe: Recipe | None = None
    payload: dict[str, Any] = field(default_factory=dict)
    """Arguments of a `prepare` job: {"model": id} and/or {"dataset": catalogue id}. Of a run that came with an archive,
    which one that was: {"imported": {title, thaw, made, archive}}; of one that races: {"in_turns": true}; of one
    whose features wait until they are asked for: {"features": false}."""
    failure: Failure | None = None
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
    heartbeat: float | None = None
    position: int | None = None
    """Place in the queue, 1 = next; None when not queued."""
    parent: str | None = None
    """The run it was forked from."""
    parent_recipe: Recipe | None = None
    """Its parent's recipe, while that run is here."""
    renamed: bool | None = None
    """Whether `name` is a person's; None in a workspace of an earlier version, which did not record it."""
    attempts: int = 0
    damage: str = ""
    """What of its row in the queue cannot be read; empty when all can."""

    @property
    def worth_resuming(self) -> bool:
        """Whether going on may end otherwise: not where the same recipe would fail in the same way."""
        return (self.status.resumable and not self.damage and not self.imported
                and (self.failure is None or self.failure.kind.passes))

    @property
    def imported(self) -> bool:
        """Whether it was trained elsewhere and came with an archive: it is looked at, and nothing more."""
        return bool(self.payload.get("imported"))

    @property
    def makes_features(self) -> bool:
        """Whether it makes and compares its features as its last phase."""
        return bool(self.payload.get("features", True))

    @property
    def in_turns(self) -> bool:
        """Whether it races: it waits at each rung while other runs of its experiment catch up."""
        return bool(self.payload.get("in_turns"))


def train_payload(*, in_turns: bool = False, features: bool = True) -> dict[str, Any]:
    """The payload of a run that races, or whose features wait until they are asked for; see `Run.payload`."""
    return ({"in_turns": True} if in_turns else {}) | ({} if features else {"features": False})


@dataclass(frozen=True, kw_only=True)
class Event:
    """One entry of a run's event stream; `seq` grows by one within a run."""

    seq: int
    time: float
    kind: str
    """`phase` {phase} | `progress` {done, total, unit, note} | `step` {step, total_steps, epoch, loss,
    learning_rate, samples, seconds, memory_bytes} | `eval` {step, epoch, samples, seconds, loss, and every metric by
    name} | `note` {text} | `failure` {kind, what, why, remedy} | `result` (the `Result` as JSON)."""
    data: dict[str, Any]


class TurnOver(BaseException):
    """A run has reached a rung of its race and waits while others catch up: its checkpoint is written. No Exception, so
    that nothing on the way takes it for a failure."""


class Observer(Protocol):
    """The one bridge from training to storage: the worker passes it in, training only talks to it."""

    def phase(self, phase: Phase) -> None:
        """A new phase begins."""

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        """Progress within the phase: `done` of `total` in `unit` (bytes, rows, steps)."""

    def step(self, **data: Any) -> None:
        """A training step was logged; see `Event.kind`."""

    def evaluation(self, **data: Any) -> None:
        """Validation was measured; see `Event.kind`."""

    def note(self, text: str) -> None:
        """Something a participant should know, e.g. which precision was chosen and why."""

    def should_stop(self) -> bool:
        """True once a person has asked the run to stop; cheap, asked each step."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A measured value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class PanelChange:
    """What happened to the loss on one domain of the forgetting panel; nats a token, documents resampled."""

    before: float
    """Of the untouched base model."""
    after: float
    """Of the tuned one, on the same tokens."""
    change: Interval
    """After minus before, paired by document."""
    before_interval: Interval | None = None
    after_interval: Interval | None = None
    kl: Interval | None = None
    """KL(tuned ‖ base) a token."""
    documents: int = 0
    tokens: int = 0
    trained_on: bool = False
    """Whether the run was trained on texts of this source: then a change is no forgetting."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a finished run measured; written to `result.json` in its folder."""

    metrics: dict[str, dict[str, Interval]]
    """split (`test`, `shift`, `validation`) -> name of the metric -> interval."""
    trainable_params: int
    total_params: int
    seconds: float
    """Wall seconds from load to saved of a run on its own: without downloads, with shared passes at what they took,
    whoever ran them."""
    phase_seconds: dict[str, float]
    """Wall seconds a phase; that of comparing features comes after the run and is no part of `seconds`."""
    peak_memory_bytes: int
    """Peak resident memory above the process's before the model was loaded (CPU), or peak device memory (CUDA)."""
    estimated_memory_bytes: int
    artifact_bytes: int
    steps: int
    samples: int
    """Training rows seen, with repetition."""
    precision: str
    device: str
    best_step: int | None = None
    """The step that was kept: the latest that validation rows find within a standard error of the best."""
    marginal_seconds: float | None = None
    """Of `seconds`, what this run adds to others: without the passes over the frozen base model that runs share. None
    for older runs, whose `seconds` are wall seconds, downloads included."""
    shared_seconds: float | None = None
    """Of `seconds`, those passes (cached features and prefixes)."""
    labels_used: dict[str, int] = field(default_factory=dict)
    """split (`train`, `validation`) -> labelled rows that training saw; empty for runs from before it was recorded."""
    phase_memory_bytes: dict[str, int] = field(default_factory=dict)
    """Phase -> its peak, counted as `peak_memory_bytes` is; empty for runs from before it was recorded."""
    base: dict[str, dict[str, Interval]] = field(default_factory=dict)
    """As `metrics`, of the untouched published model on the same rows; only where that can do the task by itself."""
    panel: dict[str, PanelChange] = field(default_factory=dict)
    """Language models: domain of the forgetting panel -> what happened to it; empty where it was not measured."""
    panel_change: Interval | None = None
    """The same over all domains that the run was not trained on."""
    panel_version: int = 0
    kl: dict[str, Interval] = field(default_factory=dict)
    """KL(tuned ‖ base) in nats a token, on the rows of the `task` and on the `panel`."""
    noise_floor: dict[str, Any] = field(default_factory=dict)
    """What changes without any training: {`panel`: {domain: nats}, `pooled`: nats, `target`: nats, `from`: `precision`
    or `4-bit`}; empty where it was not measured."""
    versions: dict[str, str] = field(default_factory=dict)
    dataset_hash: str = ""
    shift_made: str = ""
    """What the shift set is called where it was made from test rows (`made: typos, severity 3`); else empty."""
    model_revision: str = ""
    complete: bool = False
    """Whether the whole recipe was executed, so that nothing is left to resume but the features; False for a run that
    was stopped, and for runs from before it was recorded."""
    schema_version: int = 1


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The label map of a run's artifact, `labels.json`: the classes in the order of the head's outputs."""

    classes: tuple[str, ...]
    precision: str = ""
    """What the run computed in."""
    schema_version: int = 1
