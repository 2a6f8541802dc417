"""What papers say of the choice of a method, as far as it speaks for one. A new statement is one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.advice.situation import MANY, Situation
from core.domain.dataset import Content
from core.models.methods import FOUR_BIT, FROZEN, HALFWAY, HEAD_FIRST, SIXTEEN_BIT, WHOLE


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One finding and where it holds."""

    text: str
    source: str
    favours: tuple[str, ...]
    """Methods that it speaks for, the first most."""
    about: Callable[[Situation], bool]


STATEMENTS = (
    Statement(text="Adapters of low rank learn a little less than full fine-tuning and forget less of what the base "
                   "model knew (language models, code and mathematics).",
              source="Biderman et al. 2024, arXiv 2405.09673", favours=(SIXTEEN_BIT,),
              about=lambda situation: not situation.task.labelled),
    Statement(text="Adapters on a base model in 4 bits came out as good as fine-tuning in 16 bits, at a quarter of the "
                   "memory for its weights (language models up to 65 billion parameters).",
              source="Dettmers et al. 2023, arXiv 2305.14314", favours=(FOUR_BIT,),
              about=lambda situation: not situation.task.labelled),
    Statement(text="Where a model has to hold on another domain, a probe first and full fine-tuning after it was 10 "
                   "points better there than full fine-tuning alone, and 1 point better at home (means of ten sets).",
              source="Kumar et al. 2022, arXiv 2202.10054", favours=(HEAD_FIRST, FROZEN),
              about=lambda situation: situation.shift and situation.task.labelled),
    Statement(text="Weights between the pretrained and the tuned ones gained 4 to 6 points on shifted data, and 1.6 on "
                   "the task itself, over what was known before (CLIP models, five shifts of ImageNet).",
              source="Wortsman et al. 2022, arXiv 2109.01903", favours=(HALFWAY,),
              about=lambda situation: situation.shift and situation.task.labelled),
    Statement(text="On twelve picture sets networks that were tuned as a whole were better than a classifier on fixed "
                   "features nearly everywhere.",
              source="Kornblith et al. 2019, arXiv 1805.08974", favours=(WHOLE,),
              about=lambda situation: situation.task.labelled and situation.task.content is Content.PICTURE),
    Statement(text="Small adapters came within half a point of full fine-tuning on GLUE, at a few per cent of the "
                   "parameters a task.",
              source="Houlsby et al. 2019, arXiv 1902.00751", favours=(SIXTEEN_BIT,),
              about=lambda situation: situation.served == MANY and situation.task.content is Content.TEXT),
    Statement(text="Tuned as a whole or kept frozen under a new head, language encoders came out about alike on most "
                   "tasks; what decided was how near the task is to what they were pretrained on.",
              source="Peters et al. 2019, arXiv 1903.05987", favours=(FROZEN, WHOLE),
              about=lambda situation: situation.task.labelled and situation.task.content is Content.TEXT),
)


def about(situation: Situation) -> list[Statement]:
    """What is known of such a situation, in the order of the list."""
    return [each for each in STATEMENTS if each.about(situation)]
