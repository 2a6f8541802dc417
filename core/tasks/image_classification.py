"""Image classification: a class for each picture, from the body's pooled feature map or tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.domain.dataset import Depth, Role, Task
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.errors import RecipeError
from core.models.processors import PictureProcessor
from core.tasks import pictures
from core.tasks.base import Card, Report, Rows, Unit, no_report
from core.tasks.classification import COMMON_ROLES, Classification


class ImageClassification(Classification):
    """See `core.tasks.base.Objective`."""

    card = Card(task=Task.IMAGE_CLASSIFICATION, label="Image classification", things="pictures", unit=Unit.PICTURE,
                roles=(Role.IMAGE, *COMMON_ROLES), needed=(Role.IMAGE, Role.LABEL),
                unused=("max_length", "pooling", "taught", "forgetting_bound"),
                new_head=True, rate_share=1.0, batch_rows=16, example_model="facebook/deit-tiny-patch16-224")

    @staticmethod
    def load_processor(folder: Path) -> PictureProcessor:
        return PictureProcessor(folder)

    def save_processor(self, folder: Path) -> None:
        self.processor.save(folder)

    def pooling(self, recipe: Recipe, facts: ModelFacts) -> str:
        """Raises RecipeError for a pooling of texts."""
        if recipe.pooling in ("auto", facts.pooling):
            return facts.pooling
        if recipe.pooling == "mean" and facts.pooling == "cls":
            return "mean"
        raise RecipeError(f"{facts.id} cannot pool pictures by {recipe.pooling!r}.",
                          why=f"It was trained with the pooling {facts.pooling!r}.", remedy="Choose the pooling auto.")

    def encode(self, rows: Rows, *, recipe: Recipe, facts: ModelFacts, cache: Path,
               report: Report = no_report) -> pictures.EncodedPictures:
        return pictures.encode(rows, self.processor, recipe=recipe, cache=cache, report=report)

    def standalone(self, recipe: Recipe, facts: ModelFacts, depth: Depth | None) -> dict[str, Any]:
        return {"classes": list(self.classes), "scale": self.processor.scale.tolist(),
                "offset": self.processor.offset.tolist(), "size": list(self.processor.size),
                "depth": {"whole": depth.whole if depth else None, "real": depth.real if depth else None}}
