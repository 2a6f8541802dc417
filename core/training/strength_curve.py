"""The measured curve of a strength dial: one network turned over a grid and judged on the same rows at every setting.

What enters the first block that is turned is computed once and kept, so that a setting costs the blocks above it only.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core import metrics
from core.analysis import strength_files
from core.analysis.strength_files import PANEL, Curve, Curves, Measured, Point, Sample
from core.data import panel
from core.domain import strength
from core.domain.dataset import Dataset, Shape, Split
from core.domain.model import ModelFacts, Weights
from core.domain.recipe import Recipe
from core.domain.run import Interval, Observer, Phase
from core.domain.side import Side
from core.domain.strength import Dial, HeadRule, Turn
from core.errors import DataError, RecipeError, ThawError
from core.features import extract
from core.metrics import Judged, paired
from core.metrics.documents import a_token
from core.models import facts as facts_module
from core.models import methods, origin
from core.settings import Settings
from core.tasks.teaching import format_of, teach
from core.training import artifact, evaluate, forgetting, panel_states, replay
from core.training.fixed_texts import LENGTH
from core.training.inputs import Batch, Inputs
from core.training.session import dataset_of, read_rows
from core.training.strength import Dials

GRID = tuple(round(strength.LOWEST + 0.25 * place, 2) for place in range(9))
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of intruder dimensions."""
MOST_ROWS = 500
"""Of each set."""
MOST_TOKENS = 10_000
"""Of each set of a language model, whose rows are long."""
PANEL_DOCUMENTS = 6
"""Of each domain of the forgetting panel: a third of it."""
KEPT_BYTES = 500_000_000
"""Most memory that what enters the first turned block may take; beyond it, everything is computed at every setting."""
SETS = (Split.VALIDATION, Split.TEST, Split.SHIFT)
TUNED = "the model as trained"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which dial to turn, where to."""

    run_dir: Path
    dial: Dial = Dial.STRENGTH
    blocks: tuple[str, ...] = ()
    head: HeadRule = HeadRule.FOLLOWS
    values: tuple[float, ...] = ()
    """Empty: the grid of the dial."""

    @staticmethod
    def of(payload: Mapping[str, Any]) -> Asked:
        """Raises RecipeError for a payload that says something else."""
        try:
            return Asked(run_dir=Path(payload["run"]), dial=Dial(payload.get("dial", Dial.STRENGTH)),
                         blocks=tuple(map(str, payload.get("blocks", ()))),
                         head=HeadRule(payload.get("head", HeadRule.FOLLOWS)),
                         values=tuple(float(value) for value in payload.get("values", ())))
        except (KeyError, TypeError, ValueError) as error:
            raise RecipeError("This job names no dial that Thaw knows.", why=str(error)[:120],
                              remedy="Start it on the Strength page.") from error

    def turn(self, value: float) -> Turn:
        return strength.at(self.dial, value, blocks=self.blocks, head=self.head)


def measure(payload: Mapping[str, Any], *, settings: Settings, workspace: str, observer: Observer) -> Curves:
    """Measure what the payload asks for and add it to the run's `strength.json`; stopped early, with what there is.

    Raises NotFoundError where the run, its dataset or its base model is gone; RecipeError for a run or a setting that
    cannot be turned; DataError without a row to measure on.
    """
    asked = Asked.of(payload)
    observer.phase(Phase.PREPARING)
    bench = bench_of(asked, settings=settings, workspace=workspace, observer=observer)
    values = sorted(set(asked.values or _grid(asked.dial, bench.dials)))
    for value in values:
        asked.turn(value).check()
    observer.phase(Phase.EVALUATING)
    began, points = time.monotonic(), []
    tuned = bench.as_trained()
    for number, value in enumerate(values):
        observer.progress(number, len(values), "settings", f"{asked.dial} {value:g}")
        if observer.should_stop():
            break
        points.append(bench.point(asked, value, tuned))
    observer.progress(len(values), len(values), "settings")
    seconds = (time.monotonic() - began) / max(1, len(points) + 1)
    return keep(asked, bench, points, tuned, seconds)


def keep(asked: Asked, bench: Bench, points: Sequence[Point], tuned: Said, seconds: float) -> Curves:
    """Add what was measured to the run's `strength.json`. seconds: of a setting."""
    found = bench.described(strength_files.read(asked.run_dir), tuned, seconds)
    found = found.adding(Curve(dial=asked.dial, blocks=asked.blocks, head=asked.head, points=tuple(points)))
    strength_files.save(asked.run_dir, found)
    return found


def _grid(dial: Dial, dials: Dials) -> Sequence[float]:
    if dial is Dial.RANK:
        rank = dials.rank or 1
        return [float(value) for value in sorted({rank, *(2 ** power for power in range(rank.bit_length()))})
                if value <= rank]
    return SHARES if dial is Dial.INTRUDERS else GRID


# -- what is measured on -----------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Kept(Inputs):
    """Batches that stay the same over many settings."""

    kept: dict[bytes, Batch] = field(default_factory=dict)

    def batch(self, indices: np.ndarray, *, epoch: int | None = None) -> Batch:
        return self.kept.get(indices.tobytes()) or super().batch(indices, epoch=epoch)


Said = dict[str, Judged | tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Of each set what its rows got; of the panel domain, loss (nats, summed) and tokens of each document."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A run's network with its dials, and the sets it is judged on."""

    dials: Dials
    inputs: _Kept
    sets: Mapping[str, np.ndarray]
    """Set -> indices of its rows."""
    of: Mapping[str, int]
    """Rows that each has in all."""
    texts: panel_states.Texts | None
    """Of the forgetting panel."""
    trained_on: tuple[str, ...]
    four_bit: bool
    shift_made: str = ""
    """What the shift set is called where it was made from test rows."""

    def as_trained(self) -> Said:
        """What the model as trained says."""
        self.dials.turn(Turn())
        return self.look()

    def point(self, asked: Asked, value: float, tuned: Said) -> Point:
        """One setting, measured."""
        turn = asked.turn(value)
        if turn.as_trained or (turn.rank is not None and turn.rank == self.dials.rank):
            return _point(value, tuned, tuned, name=TUNED)
        self.dials.turn(turn)
        return _point(value, self.look(), tuned, name=f"{asked.dial} {value:g}")

    @property
    def kept_bytes(self) -> int:
        """Of the batches that are kept."""
        return sum(tensor.nbytes for batch in self.inputs.kept.values() for tensor in _tensors(batch))

    def look(self) -> Said:
        """What the network says at the present setting."""
        found: Said = {}
        for name, indices in self.sets.items():
            kept = evaluate.outputs(self.inputs, indices)
            found[name] = self.inputs.task.judge(kept, self.inputs.rows, indices)
        if self.texts is not None:
            with forgetting.whole(self.inputs) as network:
                states = panel_states.states(network, self.texts, precision=self.inputs.precision)
                losses = panel_states.losses(states, network.head, self.texts.truth, precision=self.inputs.precision)
            found[PANEL] = self.texts.by_document(losses)
        return found

    def described(self, known: Curves | None, said: Said, seconds: float) -> Curves:
        """The document without new curves."""
        samples = {name: Sample(rows=judged.n_rows, of=self.of[name], metric=_metric(judged).name,
                                made=self.shift_made if name == Split.SHIFT else "")
                   for name, judged in said.items() if isinstance(judged, Judged)}
        if self.texts is not None:
            documents = len(np.unique(self.texts.documents))
            samples[PANEL] = Sample(rows=documents, of=panel.DOCUMENTS * len(panel.DOMAINS), metric="loss")
        return Curves(curves=known.curves if known else (), samples=samples, head_follows=self.dials.head_follows,
                      base_in_four_bits=self.four_bit, rank=self.dials.rank, no_intruders=self.dials.no_intruders,
                      moved=self.dials.moved, precision=self.inputs.precision, point_seconds=seconds,
                      trained_on=self.trained_on)


def bench_of(asked: Asked, *, settings: Settings, workspace: str, observer: Observer) -> Bench:
    """The model with its dials and the rows it is judged on. Raises RecipeError for a run that changed nothing."""
    model, dials = artifact.dials(Side.of(asked.run_dir), settings=settings)
    recipe, card = model.recipe, methods.get(model.recipe.method).card
    if card.solved:
        raise RecipeError("There is nothing to turn in this run.",
                          why="It trained no weight of the base model.", remedy="Choose a run that did.")
    facts = facts_module.read(recipe.base_model, settings)
    assert facts is not None  # its weights were just loaded
    dataset = dataset_of(recipe.dataset, settings=settings, workspace=workspace,
                         progress=lambda done, total: observer.progress(done, total, "bytes", "dataset"))
    origin.of(asked.run_dir).check_dataset(dataset)
    rows = read_rows(dataset, settings=settings, workspace=workspace)
    encoded = model.task.encode(rows, recipe=recipe, facts=facts, cache=settings.cache)
    inputs = _Kept(task=model.task, network=model.network, rows=rows, encoded=encoded, precision=model.precision)
    every = {str(split): indices for split in SETS if len(indices := rows.of(split))}
    sets = {name: _sample(inputs, indices) for name, indices in every.items()}
    if not sets:
        raise DataError("There is no row to measure on.", why="The dataset has no validation, test or shift rows.",
                        remedy="Import it again with a validation and a test split.")
    texts, trained_on = _panel(inputs, recipe, dataset, facts, settings, observer)
    turn = Turn(strength=0.0, blocks=asked.blocks, head=asked.head)
    _keep(inputs, list(sets.values()), boundary=dials.first_moved(turn) - 1, observer=observer,
          fixed_width=facts.fixed_width)
    return Bench(dials=dials, inputs=inputs, sets=sets, of={name: len(indices) for name, indices in every.items()},
                  texts=texts, trained_on=trained_on, four_bit=card.weights is Weights.FOUR_BIT,
                 shift_made=dataset.shift_called)


def _sample(inputs: Inputs, indices: np.ndarray) -> np.ndarray:
    """The fixed rows of a set: each class in its share; of a language model as many as `MOST_TOKENS` hold."""
    if not inputs.network.scores_tokens:
        return inputs.task.choose(inputs.rows, indices, MOST_ROWS, seed=0)
    order = np.random.default_rng(0).permutation(indices)[:MOST_ROWS]
    within = np.cumsum(inputs.encoded.lengths[order]) <= MOST_TOKENS
    return np.sort(order[:max(2, int(within.sum()))])


def _panel(inputs: Inputs, recipe: Recipe, dataset: Dataset, facts: ModelFacts, settings: Settings,
           observer: Observer) -> tuple[panel_states.Texts | None, tuple[str, ...]]:
    """A part of the forgetting panel, without the domains that the run was trained on; None where it cannot be had."""
    if not inputs.network.scores_tokens or not settings.panel:
        return None, ()
    try:
        documents = panel.load(settings=settings)
    except ThawError as error:
        observer.note(f"The forgetting panel was not measured: its texts could not be had. {error.why}")
        return None, ()
    content = (inputs.rows.content[row] for row in inputs.rows.of(Split.TRAIN))
    seen = panel.trained_on(documents, dataset.source, content).union(replay.rehearsed(recipe))
    chosen = [document for name in panel.BY_NAME if name not in seen
              for document in [each for each in documents if each.domain == name][:PANEL_DOCUMENTS]]
    if not chosen:
        return None, tuple(sorted(seen))
    format, limit = format_of(inputs.task.processor), min(LENGTH, facts.max_length or LENGTH)
    ids = [teach(format, document.text, Shape.TEXT, limit, ends=False).ids for document in chosen]
    return panel_states.encode(ids, domains=[document.domain for document in chosen],
                               one_by_one=facts.fixed_width), tuple(sorted(seen))


def _keep(inputs: _Kept, sets: Sequence[np.ndarray], *, boundary: int, observer: Observer, fixed_width: bool) -> None:
    """Keep the batches of texts, and what enters `block boundary` where nothing below it is turned."""
    network = inputs.network
    batches = [rows for indices in sets for rows in extract.by_length(inputs.encoded, indices)]
    boundary = min(boundary, network.stack.size - 1)
    start = None
    if boundary >= 1 and not fixed_width:
        start = extract.try_prefix(network, inputs.encoded, sets[0][:3], boundary=boundary, precision=inputs.precision)
    entering: dict[bytes, torch.Tensor] = {}
    for rows in batches if start is not None else ():
        with torch.no_grad():
            entering[rows.tobytes()] = extract.entering(network, inputs.encoded.batch(rows), boundary, inputs.precision)
        if sum(each.nbytes for each in entering.values()) > KEPT_BYTES:
            entering = {}
            break
    if entering and start is not None:
        inputs.runner = extract.PrefixRunner(network, boundary, start.outputs)
        observer.note(f"Blocks below block {boundary} are computed once for all settings.")
    for rows in batches:
        if entering:
            beside = inputs.encoded.beside_prefix(rows, prefix_axes=entering[rows.tobytes()].ndim - 1)
            inputs.kept[rows.tobytes()] = {"inputs": {**beside, "prefix": entering[rows.tobytes()]},
                                           "targets": inputs.task.targets(inputs.rows, inputs.encoded, rows)}
        elif inputs.encoded.ragged:
            inputs.kept[rows.tobytes()] = inputs.batch(rows)


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, Mapping):
        return [tensor for part in value.values() for tensor in _tensors(part)]
    return [value] if isinstance(value, torch.Tensor) else []


# -- numbers -----------------------------------------------------------------------------------------------------------


def _metric(judged: Judged) -> metrics.Metric:
    return metrics.shared([judged])[0]


def _point(at: float, found: Said, tuned: Said, *, name: str) -> Point:
    sets = {}
    for part, said in found.items():
        reference = tuned[part]
        if isinstance(said, Judged) and isinstance(reference, Judged):
            sets[part] = _of_rows(said, reference, name)
        elif not isinstance(said, Judged) and not isinstance(reference, Judged):
            sets[part] = _of_panel(said, reference, name)
    return Point(at=at, sets=sets)


def _of_rows(said: Judged, tuned: Judged, name: str) -> Measured:
    scores = metrics.measure(said)
    if said is tuned:
        return Measured(scores=scores)
    test = paired.by_metric(_metric(said), said, tuned, name_a=name, name_b=TUNED)
    sentence = test.sentence[0].upper() + test.sentence[1:]
    return Measured(scores=scores, difference=test.difference, sentence=sentence, clear=_clear(test))


def _clear(test: paired.PairedTest) -> bool:
    """Whether the test tells the two apart, as its sentence does."""
    apart = test.difference.low > 0 or test.difference.high < 0
    return apart and getattr(test, "p_value", 0.0) < 0.05


def _of_panel(said: tuple[np.ndarray, np.ndarray, np.ndarray], tuned: tuple[np.ndarray, np.ndarray, np.ndarray],
              name: str) -> Measured:
    domains, sums, tokens = said
    scores = {"loss": a_token(sums, tokens, strata=domains)}
    if said is tuned:
        return Measured(scores=scores)
    change = a_token(sums - tuned[1], tokens, strata=domains)
    clear = change.low > 0 or change.high < 0
    return Measured(scores=scores, difference=change, clear=clear, sentence=_panel_sentence(change, clear, name))


def _panel_sentence(change: Interval, clear: bool, name: str) -> str:
    numbers = f"{change.value:+.3f} nats a token, 95 % interval {change.low:+.3f} to {change.high:+.3f}"
    if not clear:
        return f"The forgetting panel does not tell {name} and {TUNED} apart ({numbers})."
    better = "more" if change.value < 0 else "less"
    return f"{name[0].upper() + name[1:]} knows {better} of the forgetting panel than {TUNED} ({numbers})."
