"""Trying models: what can be asked, asking, and what they answer. The models live in a process of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core import files, tasks
from core.analysis import kept_steps, rows_map, strength_files
from core.analysis.rows_map import DrawnRows
from core.api.desk import Desk
from core.api.models import Models
from core.api.runs import Runs
from core.data import conversations
from core.data.conversations import Turn
from core.domain import strength as strengths
from core.domain.dataset import Content, Role, Shape, Task
from core.domain.model import Weights
from core.domain.run import JobKind, Run
from core.domain.side import Side, Which
from core.errors import DataError, NotFoundError
from core.models import methods
from core.planning import names
from core.planning import recipes as planning
from core.serving import client
from core.serving.question import Answers, Drawing, Question

TUNED, BASE, FOUR_BIT = "tuned", "Base model", "Base model in 4 bits"


@dataclass(frozen=True, kw_only=True)
class Offered:
    """A side that can be asked, or why it cannot."""

    side: Side
    name: str
    reason: str = ""
    """Why it cannot be asked; empty when it can."""


class Playground:
    """Models of a workspace, asked by hand."""

    def __init__(self, desk: Desk, *, models: Models, runs: Runs) -> None:
        self._desk = desk
        self._models = models
        self._runs = runs

    def usable(self, ws: str) -> list[Run]:
        """Runs that left a model, newest first."""
        return [run for run in self._runs.all(ws, kind=JobKind.TRAIN) if _has_model(run)]

    def shape(self, ws: str, id: str) -> Shape:
        """Whether a language run learned from passages or from conversations."""
        about = files.read_json(Path(self._runs.get(ws, id).folder) / "artifact" / "labels.json") or {}
        return Shape(about.get("shape", Shape.TEXT))

    def sides(self, ws: str, id: str) -> list[Offered]:
        """What can be asked beside each other: the base model of a run, the same in 4 bits, the run, the other runs
        of its task, steps whose weights are kept, and the settings of its strength that were saved."""
        run = self._runs.get(ws, id)
        if run.recipe is None or not _has_model(run):
            raise NotFoundError("This run left no model to try.", why="It has not ended well, or its files are gone.",
                                remedy="Choose a run that is done, or resume this one.")
        task = run.recipe.task
        same = [other for other in self.usable(ws) if other.recipe and other.recipe.task is task and other.id != id]
        called = names.short([run, *same])
        headless = tasks.card(task).new_head and not (Path(run.folder) / "artifact" / "base_head.safetensors").is_file()
        no_head = "it started from a random head, so there is none for its base model" if headless else ""
        return [Offered(side=Side(run=id, which=Which.BASE), name=BASE, reason=no_head),
                Offered(side=Side(run=id, which=Which.FOUR_BIT), name=FOUR_BIT,
                        reason=no_head or self._not_in_four_bits(run, task)),
                *(Offered(side=Side(run=each.id), name=called[each.id]) for each in (run, *same)),
                *(Offered(side=Side(run=id, which=Which.STEP, step=step), name=f"{called[id]} · step {step}")
                  for step in kept_steps.of(Path(run.folder))),
                *(Offered(side=Side(run=id, point=name), name=f"{called[id]} · {name}")
                  for name in strength_files.points(Path(run.folder)))]

    def at_strength(self, ws: str, id: str, strength: float) -> Offered:
        """The run with its trained change turned to a strength, or why it cannot be. Raises RecipeError for a strength
        that no model has."""
        run = self._runs.get(ws, id)
        strengths.at(strengths.Dial.STRENGTH, strength).check()
        assert run.recipe is not None
        side = Side(run=id, strength=strength)
        return Offered(side=side, name=f"{names.one(run)} · strength {strength:g}",
                       reason=strength_files.refusal(run.recipe))

    def ask(self, ws: str, sides: Sequence[Side], *, visitor: str, texts: Sequence[str] = (),
            picture: Path | None = None, drawing: Drawing | None = None, nearest: int = 0, rests_on: bool = False,
            randomised: bool = False, placed: bool = False) -> str:
        """Ask up to four sides the same; returns what `look` is given. texts: one, or one a side. nearest: so many
        training rows nearest to it are named by each. rests_on: each says what its answer rests on, randomised: also
        under randomised weights. placed: where the input lies on the map of its run's rows.

        Starts the process that holds the models where it is not there, which takes some seconds. Raises ThawErrors for
        an empty or far too long text, for no picture, and for runs of other workspaces.
        """
        runs = [self._runs.get(ws, side.run) for side in sides]
        for run in runs:
            if not _has_model(run):
                raise NotFoundError(f"{names.one(run)} left no model to try.", remedy="Choose a run that is done.")
        if picture is not None:
            self._check_upload(ws, picture)
        elif any(run.recipe and run.recipe.task.content is Content.PICTURE for run in runs):
            raise DataError("There is nothing to try.", why="No picture was chosen.",
                            remedy="Choose a picture, take one, or paste one.")
        here = tuple(replace(side, run=str(Path(run.folder).absolute())) for side, run in zip(sides, runs, strict=True))
        return client.ask(Question(sides=here, visitor=visitor, texts=tuple(texts), drawing=drawing or Drawing(),
                                   picture=str(picture.absolute()) if picture else "", nearest=nearest, workspace=ws,
                                   rests_on=rests_on, randomised=randomised, placed=placed),
                          self._desk.settings)

    def look(self, handle: str, *, known: int = -1, wait_s: float = 0.0) -> tuple[Answers, int]:
        """(how far it is, version); see `core.serving.client.look`."""
        return client.look(handle, self._desk.settings, known=known, wait_s=wait_s)

    def rows_map(self, ws: str, side: Side) -> DrawnRows:
        """The map of the rows of a side's run, as that side sees them. Raises NotFoundError where it is not made yet,
        RecipeError for a change that is turned up or down, DataError where the dataset has changed."""
        run, settings = self._runs.get(ws, side.run), self._desk.settings
        return rows_map.drawn(rows_map.of(side.at(Path(run.folder).absolute()), settings=settings),
                              self._runs.dataset_of(ws, run.id), settings=settings, workspace=ws)

    def stop(self, handle: str) -> None:
        """Stop answering; what was said stays."""
        client.cancel(handle, self._desk.settings)

    def text_column(self, ws: str, id: str, path: Path) -> tuple[str, tuple[str, ...]]:
        """(the column of the training data that an uploaded table lacks, the columns it has instead, the likeliest to
        hold texts first); ("", ()) where it is there. Raises DataError for a table that cannot be read."""
        from core.data import limited_preview, new_columns, new_rows

        self._check_upload(ws, path)
        new_rows.refuse_pictures(path, self._desk.settings)
        found = limited_preview.preview(path, settings=self._desk.settings)
        if found.format.startswith("Text,"):
            return "", ()
        source = new_rows.source_of(Path(self._runs.get(ws, id).folder), self._desk.settings, ws)
        lacks = new_columns.missing(found.columns, source)
        likely = sorted(found.columns, key=lambda name: found.roles.get(name) != Role.TEXT)
        return (lacks, tuple(likely)) if lacks else ("", ())

    def predict_file(self, ws: str, id: str, path: Path, *, text: str = "") -> str:
        """Answer every row of an upload with the tuned model of a run, in a worker; returns the job's id. text: its
        text column, by default the one of the training data."""
        run = self._runs.get(ws, id)
        if not _has_model(run):
            raise NotFoundError(f"{names.one(run)} left no model to try.", remedy="Choose a run that is done.")
        self._check_upload(ws, path)
        payload = {"run": str(Path(run.folder).absolute()), "path": str(path.absolute()), "text": text}
        return self._desk.submit_job(ws, JobKind.PREDICT, name=f"Predictions for {path.name}", payload=payload)

    def file_jobs(self, ws: str, id: str) -> list[Run]:
        """Files that were given to a run's model, newest first."""
        folder = str(Path(self._runs.get(ws, id).folder).absolute())
        return [job for job in self._desk.jobs(ws, kind=JobKind.PREDICT) if job.payload.get("run") == folder]

    def file_summary(self, ws: str, job: str) -> dict[str, Any] | None:
        """What came of it: {"file", "rows_read", "predicted", "left_out", "reasons" (since they are kept),
        "temperature", "labels", "doubtful", "notes"}; None while there is nothing."""
        return files.read_json(Path(self._desk.job(ws, job).folder) / "summary.json")

    def file_table(self, ws: str, job: str) -> bytes:
        """The table: a row of the file a line, with label, probabilities and doubt, or why it was left out."""
        return (Path(self._desk.job(ws, job).folder) / "predictions.csv").read_bytes()

    @staticmethod
    def conversation(asked: Sequence[str], answered: Sequence[str]) -> str:
        """A conversation as a text to ask with: questions and answers in turn, a question last."""
        turns = [Turn(conversations.USER, asked[0])]
        for answer, question in zip(answered, asked[1:], strict=True):
            turns += [Turn(conversations.ASSISTANT, answer), Turn(conversations.USER, question)]
        return conversations.dump(turns)

    def _not_in_four_bits(self, run: Run, task: Task) -> str:
        """Why the base model cannot be held in 4 bits; empty where it can."""
        assert run.recipe is not None
        facts = self._models.facts(run.recipe.base_model)
        if facts is None:
            return "its base model is not on this machine"
        rounding = [method.card.name for method in methods.REGISTRY.values() if method.card.weights is Weights.FOUR_BIT]
        reasons = [planning.why_not(name, facts, self._models.device(), task) for name in rounding]
        return "" if None in reasons else next(iter(reasons), None) or "no method holds weights so"

    def _check_upload(self, ws: str, path: Path) -> None:
        from core.data import uploads

        home = uploads.folder(self._desk.settings, ws).resolve()
        if not path.resolve().is_relative_to(home) or not path.is_file():
            raise NotFoundError("This picture is no longer there.", why="Uploads are kept for a day.",
                                remedy="Choose it again.")


def _has_model(run: Run) -> bool:
    return run.status.final and not run.imported and (Path(run.folder) / "artifact" / "labels.json").is_file()
