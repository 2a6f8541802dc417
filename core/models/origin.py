"""What a run was made from, as its folder says: the revision of its base model, the hash of its dataset; and whether
these are here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from core import files, values
from core.domain.dataset import Dataset
from core.errors import DataError, NotFoundError, RecipeError
from core.models import facts
from core.models.untrusted import json_object
from core.settings import Settings

FILE = "origin.json"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Empty where the run did not get so far as to know it."""

    model_revision: str = ""
    dataset_hash: str = ""
    schema_version: int = 1

    def check_model(self, model_id: str, settings: Settings) -> None:
        """Raises RecipeError, naming both revisions, when the base model's files here are others. A missing model is
        for who loads it."""
        now = facts.identity(model_id, settings)
        if not now.digests or not self.model_revision or now.is_revision(self.model_revision):
            return
        raise RecipeError(f"The base model {model_id} is no longer the one that this run was trained on.",
                          why=f"The run is on revision {self.model_revision}; the files in "
                              f"{facts.folder(model_id, settings)} are revision {now.in_form_of(self.model_revision)}: "
                              "weights, tokenizer, processor or configuration have changed.",
                          remedy="Put the files of that revision back, or train again on the files as they are now.")

    def check_dataset(self, dataset: Dataset) -> None:
        """Raises DataError, naming both hashes, when this is not the dataset that the run was trained on."""
        if not self.dataset_hash or self.dataset_hash == dataset.content_hash:
            return
        raise DataError(f"The dataset {dataset.name} is no longer the one that this run was trained on.",
                        why=f"The run is on rows with the hash {self.dataset_hash[:16]}; those here have "
                            f"{dataset.content_hash[:16]}.",
                        remedy="Import the file of that time again, or train again on the dataset as it is now.")


def record(run_dir: Path, origin: Origin) -> None:
    """Write down what a run starts from, by rename."""
    files.write_json(run_dir / FILE, asdict(origin))


def of(run_dir: Path) -> Origin:
    """What a run recorded; a finished run of an earlier version says it in its result, or in its environment."""
    recorded = values.read(run_dir / FILE, Origin)
    if recorded and (recorded.model_revision or recorded.dataset_hash):
        return recorded
    result, environment = json_object(run_dir / "result.json"), json_object(run_dir / "environment.json")
    return Origin(model_revision=str(result.get("model_revision") or environment.get("base_model_revision") or ""),
                  dataset_hash=str(result.get("dataset_hash") or environment.get("dataset") or ""))


def base_model(run_dir: Path) -> str:
    """Id of the base model as the run's recipe names it. Raises NotFoundError without one."""
    found = json_object(run_dir / "recipe.json").get("base_model")
    if not isinstance(found, str) or not found:
        raise NotFoundError("This run does not say which base model it is on.",
                            why="Its recipe.json is missing or damaged.", remedy="Delete the run and train again.")
    return found


def check_model(run_dir: Path, settings: Settings) -> None:
    """`Origin.check_model` of a run folder with a recipe."""
    of(run_dir).check_model(base_model(run_dir), settings)
