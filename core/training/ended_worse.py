"""Whether training left a model worse than it began, said where it happened: a run that diverged keeps the best of its
checkpoints, which may all be worse than no training at all."""

from __future__ import annotations

from core import metrics
from core.domain.model import Weights
from core.metrics import paired
from core.metrics.words import gap
from core.tasks.base import Outputs
from core.training.session import Session


def note(session: Session, ended: Outputs) -> str | None:
    """A sentence for the run where its validation rows tell it from the model that it began from, to its disadvantage;
    None where they do not, or where there was no such model (fresh weights, a head drawn at random).

    ended: what the finished network says of the validation rows.
    """
    began = session.base_outputs
    if began is None or session.card.solved or session.card.weights is Weights.FRESH or began.keys() != ended.keys():
        return None
    before, after = (session.task.judge(kept, session.rows, session.validation) for kept in (began, ended))
    metric = metrics.shared([before, after])[0]
    found = paired.by_metric(metric, after, before).difference
    if not (found.high < 0 if metric.higher_is_better else found.low > 0):
        return None
    return (f"Training made it worse: {gap(metric, found)} on the validation rows, against what it began from. Most "
            f"often the learning rate is too high for these rows (here {session.recipe.learning_rate:g}): try a third "
            "of it, or more rows.")
