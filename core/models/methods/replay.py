"""LoRA that reads general texts beside its rows (experience replay; Rolnick et al. 2019, arXiv 1811.11682)."""

from __future__ import annotations

from dataclasses import replace

from core.domain.device import Device
from core.domain.model import ModelFacts
from core.models.methods.base import Card, Method
from core.models.methods.lora import Lora


class Replay(Lora):
    """The loss of a step is (1 − s) · loss on rows of the dataset + s · loss on general texts, and s of the rows that
    it reads are such texts: novels and dialogue (`core.data.general`), as what the base model was pretrained on is not
    at hand. As many rows of the dataset are read as without them.

    Two of the five kinds of text of the forgetting panel are of these sources. A run says that it was trained on them,
    and what it forgot is counted on the other three.
    """

    card: Card = replace(
        Lora.card,
        name="replay",
        label="Replay of general texts",
        summary="LoRA that reads one general text beside every four rows, so that what the model knew is rehearsed "
                "while it learns. Meant to forget less.",
        own_head_only=True,
        advice="Rehearse general texts",
        colour_index=20,
        everyday=False,
        preselected=False,
        # A twentieth was enough where pretraining went on over billions of tokens, a quarter to a half where languages
        # changed (Ibrahim et al. 2024, arXiv 2403.08763); a hundredth kept earlier instructions (Scialom et al. 2022,
        # arXiv 2205.12393). With four rows a step one text, a fifth, is the least. Not measured here.
        replay=0.2,
        # LoRA's rates, so that the two differ by the texts alone.
        rates=replace(Lora.card.rates),
        passes=2.5,  # LoRA's, on five rows for four
        lighter=("lora", "qlora"))

    def applies_to(self, facts: ModelFacts, device: Device | None = None) -> str | None:
        return Lora().applies_to(facts, device) or super().applies_to(facts, device)


METHOD: Method = Replay()
