"""Text classification: a class for each text, from the body's pooled tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.domain.dataset import Depth, Role, Task
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.models import tokens
from core.tasks import texts
from core.tasks.base import Card, Report, Rows, Unit, no_report
from core.tasks.classification import COMMON_ROLES, Classification


class TextClassification(Classification):
    """See `core.tasks.base.Objective`."""

    card = Card(task=Task.TEXT_CLASSIFICATION, label="Text classification", things="texts", unit=Unit.TOKEN,
                roles=(Role.TEXT, Role.SECOND_TEXT, *COMMON_ROLES), needed=(Role.TEXT, Role.LABEL),
                unused=("augmentation", "batch_norm", "taught", "forgetting_bound"), new_head=True, rate_share=1.0,
                batch_rows=16, example_model="distilbert-base-uncased")

    @staticmethod
    def load_processor(folder: Path) -> Any:
        return tokens.load(folder)

    def save_processor(self, folder: Path) -> None:
        self.processor.save_pretrained(folder)

    def pooling(self, recipe: Recipe, facts: ModelFacts) -> str:
        return facts.pooling if recipe.pooling == "auto" else recipe.pooling

    def encode(self, rows: Rows, *, recipe: Recipe, facts: ModelFacts, cache: Path,
               report: Report = no_report) -> texts.EncodedTexts:
        return texts.encode(rows, self.processor, recipe=recipe, facts=facts, cache=cache)

    def standalone(self, recipe: Recipe, facts: ModelFacts, depth: Depth | None) -> dict[str, Any]:
        return {"classes": list(self.classes), "max_length": min(recipe.max_length, facts.max_length),
                "pad_id": self.processor.pad_token_id or 0}
