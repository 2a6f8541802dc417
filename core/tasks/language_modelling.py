"""Language modelling: going on with passages, or answering in conversations, with a loss on taught tokens."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from core.data import conversations
from core.domain.dataset import Depth, Role, Shape, Task
from core.domain.model import ModelFacts, Weights
from core.domain.recipe import Recipe
from core.errors import DataError
from core.metrics import REGISTRY, Judged, paired
from core.models import tokens
from core.tasks import taught_rows, teaching_report
from core.tasks.base import Card, Outputs, Report, Rows, Scored, SolvedHead, Unit, no_report
from core.tasks.taught_rows import TaughtRows

if TYPE_CHECKING:
    import pyarrow as pa
    import torch

    from core.data.report import Finding
    from core.features.encoded import Encoded
    from core.models.network import Network

CARD = Card(task=Task.LANGUAGE_MODELLING, label="Language modelling", things="plain text", unit=Unit.TOKEN,
            roles=(Role.TEXT, Role.SECOND_TEXT, Role.PROMPT, Role.RESPONSE, Role.SYSTEM, Role.MESSAGES, Role.GROUP,
                   Role.ID, Role.SPLIT, Role.IGNORE), needed=(),
            unused=("augmentation", "batch_norm", "head_init", "head_learning_rate"), new_head=False,
            example_model="openai-community/gpt2",
            rate_share=0.4,  # generative models are fine-tuned at 2e-5 and 2e-4
            batch_rows=4)  # their logits are large
NAMED = 8
"""Rows that a note names."""


class LanguageModelling:
    """See `core.tasks.base.Objective`. What is kept of a pass, a number a row each: `losses` (nats, over the taught
    tokens), `tokens` (taught), `bytes`, `right`; of conversations also `exact` and `ends` (see `Judged`)."""

    card: ClassVar[Card] = CARD
    script: ClassVar[Path] = Path(__file__).with_name("standalone_language.py")

    def __init__(self, processor: Any, shape: Shape) -> None:
        self.processor = processor
        self.shape = shape

    @classmethod
    def of(cls, model: Path, rows: Rows) -> Self:
        return cls(tokens.load(model), rows.shape)

    @classmethod
    def load(cls, artifact: Path, about: Mapping[str, Any]) -> Self:
        return cls(tokens.load(artifact / "processor"), Shape(about.get("shape", Shape.TEXT)))

    def save(self, artifact: Path) -> dict[str, Any]:
        """There are no classes."""
        self.processor.save_pretrained(artifact / "processor")
        return {"classes": [], "shape": str(self.shape)}

    # -- rows and network --

    def choose(self, rows: Rows, indices: np.ndarray, count: int, *, seed: int) -> np.ndarray:
        """At random; a larger number holds the rows of a smaller one."""
        if count >= len(indices):
            return indices
        return np.sort(np.random.default_rng(seed).permutation(indices)[:count])

    def cautions(self, rows: Rows, chosen: Mapping[str, np.ndarray]) -> list[Finding]:
        """Splits without a row."""
        from core.data.checks.splits import cautions

        return list(cautions({split: {"": len(of)} for split, of in chosen.items()}))

    def encode(self, rows: Rows, *, recipe: Recipe, facts: ModelFacts, cache: Path,
               report: Report = no_report) -> TaughtRows:
        return taught_rows.encode(rows, self.processor, taught=recipe.taught, limit=limit_of(recipe, facts),
                                  revision=facts.revision, cache=cache, fixed_width=facts.fixed_width, report=report)

    def examine(self, rows: Rows, encoded: TaughtRows, train: np.ndarray, *, recipe: Recipe, facts: ModelFacts,
                folder: Path) -> list[str]:
        """What is taught, as `teaching.json` in the run folder and in notes. Raises DataError where nothing is."""
        from core import files

        document = teaching_report.survey(rows, encoded, self.processor, model=recipe.base_model,
                                          dataset=recipe.dataset, limit=limit_of(recipe, facts), taught=recipe.taught,
                                          indices=train)
        files.write_json(folder / teaching_report.FILE, document)
        totals, named = document["totals"], document["row_ids_without_taught"]
        if not totals["taught"]:
            raise _nothing_taught(totals, limit_of(recipe, facts), document)
        notes = list(document["format"]["notes"])
        if without := totals["rows_without_taught"]:
            rest = f" and {without - NAMED:,} more" if without > NAMED else ""
            notes.append(f"{without:,} of {totals['rows']:,} training rows teach nothing: "
                         f"{', '.join(f'row {id}' for id in named[:NAMED])}{rest}.")
        if totals["cut_taught"]:
            notes.append(f"{totals['cut_taught']:,} tokens that would be taught lie beyond the length of "
                         f"{limit_of(recipe, facts):,} tokens and are cut, in {totals['rows_cut']:,} training rows.")
        return notes

    def build(self, folder: Path, *, recipe: Recipe, facts: ModelFacts, weights: Weights, dropout: float,
              compute_dtype: torch.dtype, device: str, reads_only: bool = False) -> Network:
        from core.models.language import load_language

        return load_language(folder, facts=facts, pooling="mean" if recipe.pooling == "auto" else recipe.pooling,
                             weights=weights, dropout=dropout, quantization=recipe.quantization,
                             compute_dtype=compute_dtype, device=device, reads_only=reads_only)

    def solve(self, features: Callable[[np.ndarray], np.ndarray], rows: Rows, *, train: np.ndarray,
              validation: np.ndarray, seed: int) -> SolvedHead:
        raise NotImplementedError("a language model's head is its own")

    # -- loss --

    def targets(self, rows: Rows, encoded: Encoded, indices: np.ndarray) -> dict[str, torch.Tensor]:
        import torch

        from core.models.chunked_loss import places_of

        assert isinstance(encoded, TaughtRows)
        labels = encoded.labels(indices)
        found = {"labels": labels, "places": places_of(labels),
                 "bytes": torch.from_numpy(encoded.arrays["n_bytes"][indices].astype(np.int64))}
        if rows.shape is Shape.CHAT:
            found["answer"] = torch.from_numpy(encoded.arrays["answer"][indices].astype(np.int64))
            found["end"] = torch.from_numpy(encoded.arrays["end"][indices].astype(np.int64))
        return found

    def loss(self, outputs: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> torch.Tensor:
        """Mean over the batch's taught tokens, in nats."""
        return outputs["losses"].sum() / outputs["taught"].sum().clamp(min=1)

    def weight(self, targets: dict[str, torch.Tensor]) -> int:
        """Taught tokens of a batch."""
        return len(targets["places"])

    # -- judgement --

    def keep(self, outputs: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        import torch

        right = outputs["right"] & outputs["taught"]
        found = {"losses": outputs["losses"].double().sum(1), "tokens": outputs["taught"].sum(1),
                 "bytes": targets["bytes"], "right": right.sum(1)}
        if "answer" in targets:
            first, behind = targets["answer"].unbind(1)
            place = torch.arange(right.shape[1], device=right.device).unsqueeze(0)
            wrong = ~outputs["right"] & (place >= first.unsqueeze(1)) & (place < behind.unsqueeze(1))
            end = targets["end"]
            found["exact"] = (first >= 0) & ~wrong.any(1)
            found["ends"] = (end >= 0) & outputs["right"].gather(1, end.clamp(min=0).unsqueeze(1)).squeeze(1)
        return found

    def judge(self, kept: Outputs, rows: Rows, indices: np.ndarray) -> Judged:
        answers = last_answers(rows, indices) if "exact" in kept else None
        return Judged(losses=kept["losses"], tokens=kept["tokens"], bytes=kept["bytes"], right=kept["right"],
                      exact=kept.get("exact"), ends=kept.get("ends"), answers=answers,
                      groups=None if rows.groups is None else rows.groups[indices])

    def mean_loss(self, kept: Outputs, rows: Rows, indices: np.ndarray) -> float:
        return float(kept["losses"].sum(dtype=np.float64) / max(1.0, kept["tokens"].sum(dtype=np.float64)))

    def predictions(self, kept: Outputs, rows: Rows, indices: np.ndarray) -> pa.Table:
        """row_id, loss (nats over the row), tokens, bytes, right; of conversations exact, ends, and answer where these
        are a closed set; group where rows have any."""
        import pyarrow as pa

        columns: dict[str, pa.Array] = {"row_id": pa.array(rows.row_ids[indices], pa.int64()),
                   "loss": pa.array(kept["losses"].astype(np.float64), pa.float64()),
                   **{name: pa.array(kept[name].astype(np.int64), pa.int32()) for name in ("tokens", "bytes", "right")},
                   **{name: pa.array(kept[name] > 0.5, pa.bool_()) for name in ("exact", "ends") if name in kept}}
        answers = last_answers(rows, indices) if "exact" in kept else None
        if answers is not None:
            columns["answer"] = pa.array(answers, pa.int32())
        if rows.groups is not None:
            columns["group"] = pa.array(rows.groups[indices], pa.int64())
        return pa.table(columns)

    def samples(self, kept: Outputs) -> list[dict[str, Any]]:
        """For each row its loss (nats a taught token, None where nothing is taught) and what it is counted from."""
        found = []
        for row in range(len(kept["losses"])):
            n_tokens, nats = int(kept["tokens"][row]), float(kept["losses"][row])
            loss = nats / n_tokens if n_tokens else None
            more: dict[str, bool] = {name: bool(kept[name][row] > 0.5) for name in ("exact", "ends") if name in kept}
            found.append({"loss": loss, "tokens": n_tokens, "right": int(kept["right"][row]), **more})
        return found

    def as_good(self, now: Scored, best: Scored, rows: Rows, indices: np.ndarray) -> bool:
        """The one-standard-error rule on the paired difference in loss on the same rows (or their groups)."""
        if now.kept is None or best.kept is None:
            return now.merit >= best.merit
        judged = (self.judge(kept, rows, indices) for kept in (now.kept, best.kept))
        difference = paired.by_bootstrap(REGISTRY["loss"], *judged)
        return difference.value <= (difference.high - difference.low) / (2 * 1.96)

    # -- elsewhere --

    def standalone(self, recipe: Recipe, facts: ModelFacts, depth: Depth | None) -> dict[str, Any]:
        return {"shape": str(self.shape), "max_length": limit_of(recipe, facts)}


def limit_of(recipe: Recipe, facts: ModelFacts) -> int:
    """Tokens a row."""
    return teaching_report.limit(recipe.max_length, facts)


def last_answers(rows: Rows, indices: np.ndarray) -> np.ndarray | None:
    """The number of each row's last answer among the dataset's closed set, −1 for another; None without such a set."""
    if not rows.answers:
        return None
    numbers = {answer: number for number, answer in enumerate(rows.answers)}
    found = np.array([numbers.get(_last_answer(rows.content[index]), -1) for index in indices], np.int64)
    return found if len(found) and (found >= 0).all() else None


@functools.lru_cache(maxsize=100_000)
def _last_answer(text: str) -> str:
    turns = [turn for turn in conversations.load(text) if turn.role == conversations.ASSISTANT]
    return turns[-1].content if turns else ""


def _nothing_taught(totals: dict[str, Any], limit: int, document: dict[str, Any]) -> DataError:
    reasons = sorted({row["reason"] for row in document["rows"] if row.get("reason")})
    if reasons:
        why = f"The model's chat template does not fit these conversations: {reasons[0]}"
    elif totals["rows_cut"]:
        why = (f"All {totals['rows']:,} training rows are cut at {limit:,} tokens, before the first token that would "
               "be taught.")
    else:
        why = f"None of the {totals['rows']:,} training rows holds an answer, or a second token."
    return DataError("These rows teach no token, so there is nothing to train for.", why=why,
                     remedy="Raise the text length, choose other columns on import, or look at the mask on the Data "
                            "page to see what of a row is taught.")
