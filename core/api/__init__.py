"""The façade that pages and the command line call: everything Thaw can do, by workspace, without torch.

`Thaw` is composed of its subjects: `thaw.advice`, `.data`, `.mending`, `.models`, `.experiments`, `.runs`, `.features`,
`.lessons`, `.teaching`, `.trials`, `.playground`, `.questions`, `.rooms`, `.share`, `.strength`, one file each.
Training happens in worker processes (`core.jobs`); here it is only asked for and looked at. Every call that takes a
workspace refuses ids of other workspaces with NotFoundError.
"""

from __future__ import annotations

import secrets

from core import disk, files, logs, recorded
from core.analysis.comparison import Comparison, ComparisonRow, SeedGroup
from core.analysis.curves import Curves
from core.analysis.judged_rows import JudgedRows
from core.analysis.progress import Progress
from core.analysis.samples import Answer, Asked
from core.analysis.token_rows import TokenRows
from core.api.advice import Advice, Settling
from core.api.data import Data
from core.api.desk import Desk
from core.api.experiments import Experiments
from core.api.exports import CutOff, Export, Exports, Offer
from core.api.features import Features
from core.api.lessons import Lessons, Measured
from core.api.mending import Mending, ShiftLook
from core.api.models import Models
from core.api.playground import Offered, Playground
from core.api.questions import Plan, Question, Questions
from core.api.rooms import Place as RoomPlace
from core.api.rooms import Rooms
from core.api.runs import Runs
from core.api.share import Share
from core.api.strength import Strength, Turnable
from core.api.take_home import TakeHome
from core.api.teaching import Teaching
from core.api.trials import Trials
from core.data.browse import SHOWN_COLUMNS, AugmentedRow, TablePreview
from core.data.leaky_splits import Leaks
from core.data.mends import Step
from core.data.row_pages import RowPage
from core.data.versions import Changes
from core.domain.device import Device
from core.errors import ThawError
from core.jobs import launch
from core.planning.recipes import MethodChoice
from core.recorded import WORKSPACE as RECORDED
from core.recorded import Card
from core.serving.client import ServerGone
from core.serving.question import MOST_SIDES, MOST_TOKENS, Answers, Drawing, State, same
from core.serving.question import Answer as TriedAnswer
from core.settings import Settings

__all__ = ["MOST_SIDES", "MOST_TOKENS", "RECORDED", "SHOWN_COLUMNS", "Advice", "Answer", "Answers", "Asked",
           "AugmentedRow", "Card", "Changes", "Comparison", "ComparisonRow", "Curves", "CutOff", "Data", "Drawing",
           "Experiments", "Export", "Exports", "Features", "JudgedRows", "Leaks", "Lessons", "Measured", "Mending",
           "MethodChoice", "Models", "Offer", "Offered", "Plan", "Playground", "Progress", "Question", "Questions",
           "RoomPlace", "Rooms", "RowPage", "Runs", "SeedGroup", "ServerGone", "Settling", "ShiftLook", "State", "Step",
           "Strength", "TablePreview", "Thaw", "TokenRows", "TriedAnswer", "Turnable", "same"]


class Thaw:
    """One data folder and the workspaces in it. Cheap to make: connections and parsed files are shared within the
    process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._desk = Desk(settings)
        self.data = Data(self._desk)
        self.mending = Mending(self._desk)
        self.models = Models(self._desk)
        self.runs = Runs(self._desk, data=self.data, models=self.models)
        self.experiments = Experiments(self._desk, data=self.data, models=self.models, runs=self.runs)
        self.questions = Questions(self._desk, data=self.data, models=self.models, experiments=self.experiments)
        self.advice = Advice(data=self.data, models=self.models, runs=self.runs, experiments=self.experiments,
                             questions=self.questions)
        self.lessons = Lessons(self._desk, questions=self.questions, experiments=self.experiments)
        self.rooms = Rooms(self._desk, lessons=self.lessons, questions=self.questions, experiments=self.experiments)
        self.teaching = Teaching(self._desk)
        self.trials = Trials(self._desk, models=self.models, runs=self.runs)
        self.take_home = TakeHome(data=self.data, runs=self.runs)
        self.playground = Playground(self._desk, models=self.models, runs=self.runs)
        self.exports = Exports(self._desk, runs=self.runs, models=self.models)
        self.strength = Strength(self._desk, runs=self.runs)
        self.features = Features(self._desk, data=self.data, models=self.models, runs=self.runs)
        self.share = Share(self._desk, data=self.data, runs=self.runs, experiments=self.experiments,
                           questions=self.questions, features=self.features)

    @staticmethod
    def recorded_card() -> Card | None:
        """What the recorded example is, without opening it; None where none comes with this copy."""
        return recorded.card()

    def recorded_example(self) -> Thaw:
        """The recorded example as a data folder of its own, in the workspace `RECORDED`: everything can be looked at
        and nothing changed. Unpacked on first use, in a second or two."""
        from core.recorded import unpack

        return Thaw(unpack.settings_of(self.settings))

    def recorded_has_texts(self) -> bool:
        """Of an example that was opened: whether the texts of its dataset are on this machine."""
        from core.recorded import unpack

        return unpack.has_texts(self.settings.home)

    def new_workspace(self) -> str:
        """Make a workspace; its id cannot be guessed (128 random bits)."""
        workspace = secrets.token_urlsafe(16)
        self.touch_workspace(workspace)
        return workspace

    def touch_workspace(self, ws: str) -> None:
        """Make sure the folders of a workspace exist; ThawError when the id is none that Thaw makes."""
        self._desk.touch(ws)

    def device(self) -> Device | None:
        """The measured device; None until the supervisor has measured it at its first start."""
        return self.models.device()

    def ensure_supervisor(self) -> None:
        """Start a detached supervisor unless one is alive. It measures the device at its first start."""
        launch.ensure_supervisor(self.settings, self._desk.store)

    def supervisor_alive(self) -> bool:
        """Whether somebody works on the queue."""
        return launch.any_alive(self._desk.store)

    def troubles(self) -> list[ThawError]:
        """What concerns everybody at present: a full disk, a supervisor that cannot work. Cheap: asked by every
        page."""
        found = [shortage] if (shortage := disk.shortage(self.settings)) else []
        if why := launch.trouble(self._desk.store):
            remedy = ("It is tried again by itself. If this stays, "
                      f"{logs.SUPERVISOR} in the data folder has the details.")
            found.append(ThawError("Runs cannot be started at present.", why=why, remedy=remedy))
        return found

    def disk_use(self, ws: str) -> dict[str, int]:
        """Bytes of this workspace's `datasets`, `runs`, `uploads`, and of the shared `assets`, `cache`, `database`."""
        own, home = self.settings.workspace(ws), self.settings.home
        places = {"datasets": own / "datasets", "runs": own / "runs", "uploads": own / "uploads",
                  "assets": self.settings.assets, "cache": self.settings.cache}
        database = sum(file.stat().st_size for file in home.glob(f"{self.settings.database.name}*"))
        return {name: files.size_bytes(place) for name, place in places.items()} | {"database": database}
