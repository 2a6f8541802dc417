"""The verdict card of a run: target, shift and forgetting, each better, worse, or not to be told; and what it cost.

A language model is held against its untouched base model, a classifier against the linear probe on the same base model
and rows: the same head without any training of the body.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core import metrics
from core.analysis import cost, forgetting, judged_rows, predictions
from core.analysis.forgetting import NONE, Floor, Word, word
from core.domain.dataset import Split
from core.domain.run import Interval, Result, Run
from core.metrics import Judged, Metric
from core.metrics.words import signed
from core.models import methods
from core.settings import Settings

UNTOUCHED, PROBED = "the untouched model", "the linear probe"
RUN_PROBE = ("Run the linear probe on the same dataset and base model, in the same experiment: it is what training has "
             "to beat.")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the card."""

    subject: str
    """`target`, `shift`, `forgetting` or `cost`."""
    word: Word | None
    """None where something is stated and held against nothing."""
    sentence: str
    metric: str = ""
    """Name of the metric; empty for forgetting and cost."""
    value: Interval | None = None
    reference: Interval | None = None
    difference: Interval | None = None
    """Value minus reference, paired where both kept their rows."""
    floor: Floor = NONE
    to_do: str = ""
    """What to run so that it can be told; empty where nothing is missing."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The card."""

    run: str
    against: str
    """What the run is held against, for people."""
    lines: tuple[Line, ...]

    def line(self, subject: str) -> Line:
        """The line of that subject."""
        return next(line for line in self.lines if line.subject == subject)

    @property
    def headline(self) -> str:
        """One sentence over the card."""
        target, forgot = self.line("target"), self.line("forgetting")
        said = {Word.BETTER: f"better than {self.against}", Word.WORSE: f"worse than {self.against}",
                Word.UNCLEAR: f"not told apart from {self.against}"}[target.word or Word.UNCLEAR]
        price = {Word.WORSE: ", and forgot some of what it knew",
                 Word.BETTER: ", and did not become worse elsewhere"}.get(forgot.word or Word.UNCLEAR, "")
        return f"On its own task {said}{price}."


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run that left a result, and what it is called."""

    run: Run
    result: Result
    name: str

    @property
    def folder(self) -> Path:
        return Path(self.run.folder)


def of_run(ended: Ended, *, beside: Sequence[Ended] = (), settings: Settings) -> Verdict:
    """The card of a run. beside: other runs of its experiment that left a result; the probe and other seeds are looked
    for among them."""
    seeds = seeds_of(ended, beside)
    recipe = ended.run.recipe
    if recipe is not None and not recipe.task.labelled:
        lines = [_untouched(ended, split, seeds) for split in (Split.TEST, Split.SHIFT)]
        lines += [_forgot(ended, seeds), _cost(ended, seeds, None, beside)]
        return Verdict(run=ended.run.id, against=UNTOUCHED, lines=tuple(lines))
    probe = _probe(ended, beside)
    lines = [_probed(ended, split, seeds, probe, settings) for split in (Split.TEST, Split.SHIFT)]
    lines += [Line(subject="forgetting", word=Word.UNCLEAR,
                   sentence="Not measured: a classifier has no text or pictures of its own to lose words for. "
                            "How far its features moved is on the Features page."),
              _cost(ended, seeds, probe, beside)]
    return Verdict(run=ended.run.id, against=PROBED, lines=tuple(lines))


def seeds_of(ended: Ended, beside: Sequence[Ended]) -> list[Ended]:
    """This run, and those that differ from it in nothing but the seed."""
    return [ended, *(other for other in beside if _same_arm(ended, other))]


# -- target and shift --------------------------------------------------------------------------------------------------


def _untouched(ended: Ended, split: Split, seeds: Sequence[Ended]) -> Line:
    """Against the untouched model on the same rows."""
    own, base = ended.result.metrics.get(split, {}), ended.result.base.get(split, {})
    metric = metrics.primary([name for name in own if name in base])
    if metric is None:
        return _absent(ended, split, "" if own else f"Its dataset has no {split} rows.")
    value, reference = own[metric.name], base[metric.name]
    mine, theirs = predictions.read(ended.folder, split), predictions.read_base(ended.folder, split)
    paired = mine is not None and theirs is not None and mine.same_rows(theirs)
    difference = (_paired(metric, mine.judged, theirs.judged) if paired and mine and theirs
                  else apart(value, reference))
    return _line(split, metric, value, reference, difference, _floor(ended, metric, split, seeds), UNTOUCHED,
                 made=ended.result.shift_made)


def _probed(ended: Ended, split: Split, seeds: Sequence[Ended], probe: Ended | None, settings: Settings) -> Line:
    """Against a probe run of the experiment; without one, against the probe that the run itself kept, at the rows whose
    features are known."""
    own = predictions.read(ended.folder, split)
    if own is None:
        return _absent(ended, split, f"Its dataset has no {split} rows.")
    mine, theirs, against, to_do = own.judged, None, PROBED, ""
    if probe is not None and probe.run.id == ended.run.id:
        theirs = own.judged
    elif probe is not None and (found := predictions.read(probe.folder, split)) is not None and own.same_rows(found):
        theirs = found.judged
    elif (rows := judged_rows.beside_base(ended.folder, split, settings=settings)) is not None and len(rows.labels):
        mine = Judged(labels=rows.labels, predictions=rows.predictions)
        theirs = Judged(labels=rows.labels, predictions=rows.others)
        against, to_do = f"{PROBED} on {len(rows.labels):,} of these rows", RUN_PROBE
    if theirs is None:
        line = _absent(ended, split, f"There is no probe beside it. {RUN_PROBE}")
        return Line(subject=line.subject, word=line.word, sentence=line.sentence, to_do=RUN_PROBE)
    metric = metrics.shared([mine, theirs])[0]
    value, reference = (metrics.measure(judged)[metric.name] for judged in (mine, theirs))
    difference = _paired(metric, mine, theirs)
    return _line(split, metric, value, reference, difference, _floor(ended, metric, split, seeds), against, to_do,
                 made=ended.result.shift_made)


def _paired(metric: Metric, mine: Judged, theirs: Judged) -> Interval:
    from core.metrics.paired import by_metric

    found = by_metric(metric, mine, theirs)
    if getattr(found, "p_value", 0.0) >= 0.05:  # the exact test does not agree: not clear of zero
        low, high = min(found.difference.low, 0.0), max(found.difference.high, 0.0)
        return Interval(value=found.difference.value, low=low, high=high)
    return found.difference


def apart(value: Interval, reference: Interval) -> Interval:
    """The difference of two measurements without their rows, as if these were independent: wider than paired."""
    gap = value.value - reference.value
    return Interval(value=gap, low=gap - math.hypot(value.value - value.low, reference.high - reference.value),
                    high=gap + math.hypot(value.high - value.value, reference.value - reference.low))


def _line(split: Split, metric: Metric, value: Interval, reference: Interval, difference: Interval, floor: Floor,
          against: str, to_do: str = "", made: str = "") -> Line:
    verdict = word(difference, floor.value, higher_is_better=metric.higher_is_better)
    factor, digits, unit = (100, 1, " points") if metric.unit is metrics.Unit.SHARE else (1, 3, "")
    bounds = difference.value, difference.low, difference.high
    gap, low, high = (signed(factor * number, digits) for number in bounds)
    numbers = (f"{factor * reference.value:.{digits}f} → {factor * value.value:.{digits}f} "
               f"({gap}{unit}, 95 % interval {low} to {high})")
    beyond = f"; the noise floor is {factor * floor.value:.{digits}f} ({floor.words})" if floor.source else ""
    said = {Word.BETTER: "Better than", Word.WORSE: "Worse than", Word.UNCLEAR: "Cannot be told from"}[verdict]
    return Line(subject=_subject(split), word=verdict, metric=metric.name, value=value, reference=reference,
                difference=difference, floor=floor, to_do=to_do,
                sentence=f"{said} {against}: {metric.on(split)} {numbers}{beyond}.{_of_made(split, made)}")


def _of_made(split: Split, made: str) -> str:
    """What is to be known of shift rows that are of no second domain."""
    return f" The shift set is {made}, from the test rows." if made and split is Split.SHIFT else ""


def _absent(ended: Ended, split: Split, why: str) -> Line:
    why = why or f"The untouched model was not measured on the {split} rows of this run."
    return Line(subject=_subject(split), word=Word.UNCLEAR, sentence=f"Not measured: {why[0].lower()}{why[1:]}")


def _subject(split: Split) -> str:
    return "target" if split is Split.TEST else split.value


def _floor(ended: Ended, metric: Metric, split: Split, seeds: Sequence[Ended]) -> Floor:
    """What another seed, or computing in another precision, changes of a metric."""
    noise = ended.result.noise_floor
    own = noise.get("target") if metric.name == "loss" else None
    found = Floor(value=float(own), source=str(noise.get("from", ""))) if own is not None else NONE
    values = [each.result.metrics.get(split, {}).get(metric.name) for each in seeds]
    return forgetting.larger(found, [value.value for value in values if value is not None])


# -- forgetting and cost -----------------------------------------------------------------------------------------------


def _forgot(ended: Ended, seeds: Sequence[Ended]) -> Line:
    change = ended.result.panel_change
    if change is None:
        return Line(subject="forgetting", word=Word.UNCLEAR,
                    sentence="Not measured: the texts of the forgetting panel could not be had for this run.",
                    to_do="Run it again with a connection to the package index.")
    floor = forgetting.floor_of(ended.result, seeds=[each.result for each in seeds])
    verdict = word(change, floor.value)
    seen = [name for name, found in ended.result.panel.items() if found.trained_on]
    left = f" (without {', '.join(seen)}, which it was trained on)" if seen else ""
    worst = [name for name, found in ended.result.panel.items()
             if word(found.change, forgetting.floor_of(ended.result, name, seeds=[each.result for each in seeds]).value)
             is Word.WORSE and not found.trained_on]
    also = f" By domain, worse on {', '.join(worst)}." if worst else ""
    return Line(subject="forgetting", word=verdict, difference=change, floor=floor,
                sentence=forgetting.said(f"the texts of the panel{left}", change, floor) + also)


def _cost(ended: Ended, seeds: Sequence[Ended], probe: Ended | None, beside: Sequence[Ended]) -> Line:
    """Judged beside a probe; of a run alone, and of the probe, stated: nothing is dear or cheap by itself."""
    seconds = Interval(value=ended.result.seconds, low=ended.result.seconds, high=ended.result.seconds)
    if probe is None or probe.run.id == ended.run.id:
        return Line(subject="cost", word=None, value=seconds, sentence=cost.stated(ended.result))
    return _dearer(seeds, seeds_of(probe, beside), PROBED)


def cost_beside(ended: Ended, other: Ended, *, beside: Sequence[Ended] = (), settled: Sequence[Ended] = ()) -> Line:
    """What a run costs beside another one. beside, settled: other runs of the experiments of each, for their seeds."""
    if _same_arm(ended, other):  # two seeds: each for itself
        beside = settled = ()
    return _dearer(seeds_of(ended, beside), seeds_of(other, settled), other.name)


def _dearer(mine: Sequence[Ended], theirs: Sequence[Ended], against: str) -> Line:
    verdict, sentence, difference = cost.judged([each.result for each in mine], [each.result for each in theirs],
                                                against=against)
    return Line(subject="cost", word=verdict, sentence=sentence, difference=difference)


# -- which run is what -------------------------------------------------------------------------------------------------


def _probe(ended: Ended, beside: Sequence[Ended]) -> Ended | None:
    """The run whose head alone was solved, on the same rows and base model; of the same seed where there is one."""
    recipe = ended.run.recipe
    found = [other for other in (ended, *beside) if recipe is not None and other.run.recipe is not None
             and _solved(other) and other.result.dataset_hash == ended.result.dataset_hash
             and other.run.recipe.base_model == recipe.base_model
             and other.run.recipe.label_budget == recipe.label_budget]
    seeds: Mapping[int, Ended] = {other.run.recipe.seed: other for other in reversed(found) if other.run.recipe}
    return None if not found or recipe is None else seeds.get(recipe.seed, found[0])


def _solved(ended: Ended) -> bool:
    name = ended.run.recipe.method if ended.run.recipe else ""
    return name in methods.REGISTRY and methods.get(name).card.solved


def _same_arm(a: Ended, b: Ended) -> bool:
    """Whether they differ in nothing but the seed."""
    if a.run.recipe is None or b.run.recipe is None or a.run.recipe.seed == b.run.recipe.seed:
        return False
    alike = a.run.recipe.replace(seed=0, precision="") == b.run.recipe.replace(seed=0, precision="")
    return alike and a.result.precision == b.result.precision and a.result.dataset_hash == b.result.dataset_hash
