"""Rooms: a class that takes a lesson together, what it predicted, and its runs pooled."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from core import lessons
from core.api.desk import Desk
from core.api.experiments import Experiments
from core.api.lessons import Lessons, Measured, measured
from core.api.questions import Questions, read
from core.domain.experiment import Experiment
from core.domain.run import Status
from core.planning import designs
from core.store.rooms import Guest, Room

LASTS_S = 2 * 3600.0
GONE_S = 60.0
"""A guest whose page has not asked for so long is away."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """How far a guest is."""

    number: int
    name: str
    stage: str
    """`reading`, `predicted`, `waiting`, `training`, `done` or `failed`."""
    done: int
    planned: int
    """Runs of their own; 0 before a start."""
    away: bool


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """The runs of everybody together: a guest's seed is a seed."""

    measured: Measured | None
    runs: int


KEPT = 32
_pools: dict[tuple[str, tuple[tuple[str, float], ...]], Pooled] = {}
"""Room, folders of finished runs and when they ended -> what they say together: every page of a room asks every few
seconds."""


class Rooms:
    """Rooms of this server. A guest's workspace stays theirs: nothing here hands out its id."""

    def __init__(self, desk: Desk, *, lessons: Lessons, questions: Questions, experiments: Experiments) -> None:
        self._desk = desk
        self._lessons = lessons
        self._questions = questions
        self._experiments = experiments

    def open(self, ws: str, lesson: str, *, seconds: float = LASTS_S) -> Room:
        """A room for this lesson, with this workspace as its teacher."""
        self._desk.touch(ws)
        return self._desk.store.rooms.open(ws, lessons.get(lesson).name, seconds=seconds)

    def mine(self, ws: str) -> list[Room]:
        """Rooms that this workspace opened, newest first."""
        return self._desk.store.rooms.of_teacher(ws)

    def join(self, ws: str, code: str, name: str) -> Room:
        """Take part. Raises as `core.store.rooms.Rooms.join`."""
        self._desk.touch(ws)
        self._desk.store.rooms.join(ws, code, name)
        return self._desk.store.rooms.get(code)

    def leave(self, ws: str, code: str) -> None:
        """Go; predictions and runs stay one's own."""
        self._desk.store.rooms.leave(ws, code)

    def joined(self, ws: str, lesson: str) -> tuple[Room, Guest] | None:
        """The open room in which this workspace takes a lesson; counts as being there."""
        found = self._desk.store.rooms.of_guest(ws, lesson)
        if found is not None:
            self._desk.store.rooms.see(ws, found[0].code)
        return found

    def show(self, ws: str, code: str, *, shown: bool = True) -> None:
        """Let everybody see all predictions and the pooled result, or no more."""
        self._desk.store.rooms.update(ws, code, shown=shown)

    def extend(self, ws: str, code: str, *, seconds: float = LASTS_S) -> None:
        """It ends so many seconds from now."""
        self._desk.store.rooms.update(ws, code, ends=time.time() + seconds)

    def end(self, ws: str, code: str) -> None:
        """Nobody joins any more; what was predicted and measured stays."""
        self._desk.store.rooms.update(ws, code, ends=time.time())

    def places(self, code: str) -> list[Place]:
        """Who is where."""
        room = self._desk.store.rooms.get(code)
        return [self._place(room, guest) for guest in self._desk.store.rooms.guests(code)]

    def predictions(self, code: str) -> list[dict[str, float]]:
        """What everybody predicted, in the order in which they joined."""
        room = self._desk.store.rooms.get(code)
        found = (self._lessons.prediction(guest.workspace, room.lesson)
                 for guest in self._desk.store.rooms.guests(code))
        return [each for each in found if each is not None]

    def pooled(self, code: str) -> Pooled:
        """The runs of everybody that are done, as one experiment over all their seeds."""
        room = self._desk.store.rooms.get(code)
        lesson, asked = lessons.get(room.lesson), None
        folders: dict[tuple[str, float, int], Path] = {}
        for guest in self._desk.store.rooms.guests(code):
            id = self._lessons.experiment(guest.workspace, lesson.name)
            own = self._experiments.get(guest.workspace, id).asked if id else None
            if id is None or own is None:
                continue
            asked = asked or own
            if _same(own, asked):
                folders.update(self._questions.folders(guest.workspace, id))
        if asked is None or not folders:
            return Pooled(measured=None, runs=0)
        key = (room.code, tuple(sorted((str(folder), (folder / "result.json").stat().st_mtime)
                                       for folder in folders.values())))
        if key in _pools:
            return _pools[key]
        everybody = Experiment(design=asked.design, dataset=asked.dataset, arms=asked.arms, rates=asked.rates,
                               seeds=tuple(sorted({seed for _, _, seed in folders})))
        reading = read(designs.get(asked.design), everybody, folders)
        while len(_pools) >= KEPT:
            _pools.pop(next(iter(_pools)))
        _pools[key] = Pooled(measured=measured(lesson, reading.found, reading.document), runs=len(folders))
        return _pools[key]

    def _place(self, room: Room, guest: Guest) -> Place:
        experiment = self._lessons.experiment(guest.workspace, room.lesson)
        states = [run.status for run in self._desk.jobs(guest.workspace) if run.experiment == experiment] \
            if experiment else []
        done = sum(status is Status.DONE for status in states)
        if not states:
            stage = "predicted" if self._lessons.prediction(guest.workspace, room.lesson) else "reading"
        elif done == len(states):
            stage = "done"
        elif all(status.final for status in states):
            stage = "failed"
        else:
            stage = "training" if done or Status.RUNNING in states else "waiting"
        return Place(number=guest.number, name=guest.name, stage=stage, done=done, planned=len(states),
                     away=time.time() - guest.seen > GONE_S)


def _same(a: Experiment, b: Experiment) -> bool:
    """Whether two guests train the same recipes but for the seed."""
    return a.arms == b.arms and a.rates == b.rates
