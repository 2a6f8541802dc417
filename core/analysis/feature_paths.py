"""Where the features of a run lie: its base model's (shared by runs), its own, and those recorded while training."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from core import values
from core.domain.model import ModelFacts, Weights
from core.domain.recipe import TAUGHT_TOKENS, Recipe
from core.domain.side import Side, Which
from core.errors import NotFoundError
from core.models import facts as facts_module
from core.models import methods, origin
from core.settings import Settings

OWN_FACTS = "features/facts.json"
"""In an imported run's folder: what is known of its base model."""
WEIGHT_CHANGES = "weights.json"
"""In a run's folder of features: what training did to its weights."""


@dataclass(frozen=True, kw_only=True)
class FeaturePaths:
    """Files of one run for one probe-sample size; they need not exist yet."""

    run_dir: Path
    recipe: Recipe
    facts: ModelFacts
    dataset_hash: str
    precision: str
    base: Path
    quantised: Path | None
    """The 4-bit, untrained model; None unless the method loads one."""
    tuned: Path
    steps: dict[int, Path]
    """Training step -> features recorded at it (these exist)."""
    recorded_revision: str = ""
    """The base model's as the run wrote it down: an earlier version's form names the same model, and may still name its
    features."""

    @property
    def ready(self) -> bool:
        """Whether every side is on disk."""
        return all(path.is_file() for path in (self.base, self.tuned, self.quantised) if path is not None)

    def of(self, side: Side) -> Path | None:
        """Where the features of this side lie; None for one that the run does not have."""
        if side.which is Which.BASE:
            return self.base
        if side.which is Which.FOUR_BIT:
            return self.quantised
        if side.which is Which.FINAL:
            return self.tuned
        return None if side.step is None else self.steps.get(side.step)

    @property
    def start(self) -> Path:
        """Features of the model that the run started from, of a run that did not start from scratch."""
        return self.quantised or self.base

    def read_for(self, side: Side) -> list[Path]:
        """Every file that this side is read from: a recorded step takes the blocks that could not move from the
        start."""
        if side.which is Which.STEP:
            return [self.start, *self.steps.values()]
        path = self.of(side)
        return [] if path is None else [path]

    def at_rows_of(self, second: str, *, settings: Settings) -> FeaturePaths:
        """The same models at rows of a second dataset (its id, which is a hash of its content). Recorded steps are of
        the own rows only."""
        def shared(weights: Weights) -> Path:
            revisions = (self.facts.revision, self.recorded_revision)
            return base_path(settings, dataset_hash=second, revisions=revisions, recipe=self.recipe,
                             precision=self.precision, rows="beside", weights=weights)

        return replace(self, base=shared(Weights.PRETRAINED),
                       quantised=None if self.quantised is None else shared(Weights.FOUR_BIT),
                       tuned=second_of(self.run_dir, second), steps={})


def base_path(settings: Settings, *, dataset_hash: str, revisions: tuple[str, ...], recipe: Recipe, precision: str,
              rows: int | str, weights: Weights) -> Path:
    """Base features are shared by every run on (dataset, base model, length, pooling, precision, sample).

    revisions: names of one and the same base model, the present one first; features under a later one are used.
    rows: size of the probe sample, or `beside` for the rows of a second dataset.
    """
    quantised = [recipe.quantization.type, recipe.quantization.double] if weights is Weights.FOUR_BIT else None

    pooling = [recipe.pooling, recipe.taught] if recipe.pooling == TAUGHT_TOKENS else recipe.pooling

    def under(revision: str) -> Path:
        key = json.dumps([dataset_hash, revision, recipe.max_length, pooling, precision, rows, quantised])
        name = hashlib.sha256(key.encode()).hexdigest()[:24]
        return settings.cache / "block_features" / name / "features.safetensors"

    paths = [under(revision) for revision in revisions if revision]
    return next((path for path in paths if path.is_file()), paths[0])


def steps_of(run_dir: Path) -> list[Path]:
    """Features taken while training, in order of steps."""
    return sorted((run_dir / "features").glob("step-*.safetensors"))


def final_of(run_dir: Path, rows: int) -> Path:
    """Where the tuned model's features of the probe sample of `rows` rows lie."""
    return run_dir / "features" / f"final-{rows}.safetensors"


def second_of(run_dir: Path, dataset: str) -> Path:
    """Where the tuned model's features of rows of a second dataset lie."""
    return run_dir / "features" / f"beside-{dataset}.safetensors"


def own_base_of(run_dir: Path, rows: int, *, four_bit: bool = False) -> Path:
    """Where an imported run keeps its base model's features itself: those of another machine are nobody else's."""
    return run_dir / "features" / f"{'four-bit' if four_bit else 'base'}-{rows}.safetensors"


def every_second_of(run_dir: Path) -> list[Path]:
    """The same of every second dataset that was looked at."""
    return sorted((run_dir / "features").glob("beside-*.safetensors"))


def of_run(run_dir: Path, *, settings: Settings, rows: int, second: str = "") -> FeaturePaths:
    """The files of a finished run; second: id of a second dataset, at whose rows instead.

    Raises NotFoundError when it has no artifact or its base model is gone, RecipeError when that is now another
    revision.
    """
    try:
        recipe = Recipe.from_json(_json(run_dir / "recipe.json"))
        precision = str(_json(run_dir / "artifact" / "labels.json")["precision"])
        dataset_hash = str(_json(run_dir / "result.json")["dataset_hash"])
    except OSError as error:
        raise NotFoundError("This run has no artifact yet.",
                            remedy="Wait until the run is done, or resume it.") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotFoundError("A file of this run is damaged.",
                            why=f"recipe.json, result.json or artifact/labels.json: {str(error)[:100]}.",
                            remedy="Delete the run and train it again.") from error
    made_from = origin.of(run_dir)
    own = own_base_of(run_dir, rows).is_file()
    if not own:
        made_from.check_model(recipe.base_model, settings)
    facts = values.read(run_dir / OWN_FACTS, ModelFacts) if own else facts_module.read(recipe.base_model, settings)
    if facts is None:
        raise NotFoundError(f"The base model {recipe.base_model} is not in the data folder.",
                            remedy="Fetch it on the Train page.")

    def shared(weights: Weights) -> Path:
        if own:
            return own_base_of(run_dir, rows, four_bit=weights is Weights.FOUR_BIT)
        revisions = (facts.revision, made_from.model_revision)
        return base_path(settings, dataset_hash=dataset_hash, revisions=revisions, recipe=recipe, precision=precision,
                         rows=rows, weights=weights)

    four_bit = weights_of(recipe) is Weights.FOUR_BIT
    steps = {int(path.stem.removeprefix("step-")): path for path in steps_of(run_dir)}
    found = FeaturePaths(run_dir=run_dir, recipe=recipe, facts=facts, dataset_hash=dataset_hash, precision=precision,
                         base=shared(Weights.PRETRAINED), quantised=shared(Weights.FOUR_BIT) if four_bit else None,
                         tuned=final_of(run_dir, rows), steps=steps, recorded_revision=made_from.model_revision)
    return found.at_rows_of(second, settings=settings) if second else found


def forget(run_dir: Path) -> None:
    """Remove what was measured of the run's model after training, which another is about to take the place of."""
    folder = run_dir / "features"
    for path in (*folder.glob("final-*.safetensors"), *every_second_of(run_dir), folder / WEIGHT_CHANGES):
        path.unlink(missing_ok=True)


def weights_of(recipe: Recipe) -> Weights:
    """How the body of a run was loaded."""
    return methods.card_of(recipe.method).weights


def frozen_blocks(recipe: Recipe, facts: ModelFacts) -> dict[str, bool]:
    """For each block without the head whether training could not move it. An adapter moves the features of a block
    whose published weights stay as they are, so a block counts as frozen only where it has no adapter; with patterns,
    which may open any, none does."""
    card = methods.card_of(recipe.method)
    plan = card.plan(recipe, facts.block_names)
    if plan.train_patterns:
        return {block.name: False for block in facts.blocks}
    if card.adapter is None:
        return {block.name: plan.is_frozen(block.name) for block in facts.blocks}
    chosen = {layer.name for layer in card.adapter.layers(recipe, facts.blocks)}
    return {block.name: not any(layer.name in chosen for layer in block.linear_layers) for block in facts.blocks}


def _json(path: Path) -> dict[str, object]:
    return dict(json.loads(path.read_text(encoding="utf-8")))
