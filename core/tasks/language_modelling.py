"""Language modelling: what planning and pages know of it. Nothing trains for it yet."""

from __future__ import annotations

from core.domain.dataset import Role, Task
from core.tasks.base import Card, Unit

CARD = Card(task=Task.LANGUAGE_MODELLING, label="Language modelling", things="plain text", unit=Unit.TOKEN,
            roles=(Role.TEXT, Role.SECOND_TEXT, Role.PROMPT, Role.RESPONSE, Role.SYSTEM, Role.MESSAGES, Role.GROUP,
                   Role.ID, Role.SPLIT, Role.IGNORE), needed=(),
            unused=("augmentation", "batch_norm"), new_head=False, example_model="openai-community/gpt2",
            rate_share=0.4,  # generative models are fine-tuned at 2e-5 and 2e-4
            batch_rows=4)  # their logits are large
