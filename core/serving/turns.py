"""Whose turn it is: visitors share the computing time, a short piece at a time. No torch: the work is handed in.

Each visitor has a line of tasks. The one who has had the least time goes next, so that nobody waits longer for others
than an equal share makes him, whatever they ask. A task asks several sides: each is opened (its model loaded and held)
when there is room, then advances piece by piece, side by side with the others.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from core.domain.side import Side
from core.errors import ThawError
from core.serving.question import Answer, Answers, State, in_parts
from core.unforeseen import explained, is_fault

log = logging.getLogger("thaw.serving")

PIECE_S = 0.1
"""So long one side computes before the next in line."""
MOST_OPEN = 8
"""Sides that are answered at the same time; each keeps what its model has read. Those are finished before others are
begun, unless they go on for long."""
LONG_S = 1.0
"""Where each open visitor has had so much more time than who waits, he is let in beside them: a short question does not
wait for the end of long answers."""
MOST_CROWDED = 4
"""Times `MOST_OPEN`: sides at the same time in all, then."""
HELD_OFF_S = 10.0
"""Somebody who has waited so long for memory lets nobody else open a model before him."""
MOST_WAITING = 4
"""Tasks in one visitor's line."""


class Room(Protocol):
    """Where models are held (`core.serving.shelf.Shelf`)."""

    def fits(self, side: Side) -> bool: ...
    def spare(self) -> bool: ...
    def check(self, side: Side) -> None: ...
    def take(self, side: Side) -> Any: ...
    def give(self, side: Side) -> None: ...


Work = Callable[[Any, int], Iterator[Answer]]
"""(model, place of the side) -> what it says so far, again and again; each piece takes well below a second."""


@dataclass(eq=False)
class Task:
    """A question under way."""

    visitor: str
    sides: Sequence[Side]
    work: Work
    answers: list[Answer] = field(default_factory=list)
    pieces: dict[int, Iterator[Answer]] = field(default_factory=dict)
    """Of the sides that are open."""
    asked: float = field(default_factory=time.monotonic)
    looked: float = field(default_factory=time.monotonic)
    ended: float | None = None
    short_since: float | None = None
    """Since when it waits for memory."""
    just_opened: bool = False
    """Then the open side says something before the next one is opened."""
    cancelled: bool = False
    version: int = 0
    """Grows with every change."""

    def __post_init__(self) -> None:
        self.answers = [Answer() for _ in self.sides]

    @property
    def begun(self) -> bool:
        return any(answer.state is not State.WAITING for answer in self.answers)

    def say(self, at: int, answer: Answer) -> None:
        """Put down what a side says now."""
        self.answers[at] = answer
        self.version += 1


class Turns:
    """The lines, and the one thread that works on them (`run`). Everything else may be called from any thread."""

    def __init__(self, room: Room, *, most_open: int = MOST_OPEN, most_waiting: int = MOST_WAITING,
                 piece_s: float = PIECE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._room, self._most_open, self._most_waiting = room, most_open, most_waiting
        self._piece_s, self._clock = piece_s, clock
        self._lines: dict[str, deque[Task]] = {}
        self._used: dict[str, float] = {}
        """Seconds each visitor has had, since the lines were empty."""
        self._changed = threading.Condition()
        self._ending = False
        self.busy_at = clock()
        """When there last was anything to do, or anybody looked."""

    # -- from any thread --

    def ask(self, task: Task) -> None:
        """Put a task into its visitor's line. Raises ThawError when that is full."""
        with self._changed:
            line = self._lines.setdefault(task.visitor, deque())
            if len(line) >= self._most_waiting:
                raise ThawError("You have asked several questions already that are not answered yet.",
                                why=f"Each visitor may have {self._most_waiting} in the line, so that all get a turn.",
                                remedy="Wait for an answer, or stop one of them.")
            if not line:  # a newcomer has had as much as whoever had least: neither a debt nor a credit
                others = [self._used[visitor] for visitor, tasks in self._lines.items() if tasks]
                self._used[task.visitor] = max(self._used.get(task.visitor, 0.0), min(others, default=0.0))
            line.append(task)
            self.busy_at = self._clock()
            self._changed.notify_all()

    def cancel(self, task: Task) -> None:
        """End it soon; what it said so far stays."""
        with self._changed:
            task.cancelled = True
            self._changed.notify_all()

    def look(self, task: Task) -> Answers:
        """How far it is."""
        task.looked = self.busy_at = self._clock()
        with self._changed:
            place = 0 if task.begun else self._place(task)
            return Answers(answers=tuple(task.answers), place=place)

    def waiting(self) -> int:
        """Tasks in all lines."""
        with self._changed:
            return sum(map(len, self._lines.values()))

    def idle_s(self) -> float:
        """Seconds since there last was anything to do, or anybody looked; 0 while somebody waits for an answer, however
        long a piece of work takes."""
        return 0.0 if self.waiting() else self._clock() - self.busy_at

    def end(self) -> None:
        """Let `run` return."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    # -- the one thread --

    def run(self, tend: Callable[[], None] = lambda: None, *, every_s: float = 1.0) -> None:
        """Work until told to end. tend: called about so often, also while there is nothing to do."""
        tended = self._clock()
        while not self._ending:
            worked = self.step()
            if self._clock() - tended > every_s:
                tend()
                tended = self._clock()
            with self._changed:
                if not worked and not self._ending:
                    self._changed.wait(0.2 if any(self._lines.values()) else every_s)  # some may wait for memory

    def step(self) -> bool:
        """One piece of work for whoever's turn it is; False when nothing can be done."""
        with self._changed:
            self._lines = {visitor: line for visitor, line in self._lines.items() if line}
            if not self._lines:
                self._used.clear()
                return False
            current = [line[0] for _, line in sorted(self._lines.items(), key=lambda one: self._used[one[0]])]
        cleared = sum(self._clear(task) for task in current)
        worked = cleared > 0 or any(self._advance(task) for task in current)
        self.busy_at = self._clock()
        return worked

    def _clear(self, task: Task) -> bool:
        """Close what was cancelled; take what is done out of its line."""
        if task.cancelled:
            for at in list(task.pieces):
                self._close(task, at)
            for at, answer in enumerate(task.answers):
                if not answer.state.final:
                    task.say(at, replace(answer, state=State.STOPPED))
        if not all(answer.state.final for answer in task.answers):
            return False
        with self._changed:
            self._lines[task.visitor].remove(task)
            task.ended = self._clock()
            task.version += 1
        return True

    def _advance(self, task: Task) -> bool:
        """Open the task's next side, or let the open one that waited longest say more."""
        began = self._clock()
        at = None if task.just_opened else self._to_open(task)
        if at is not None:
            self._open(task, at)
            task.just_opened = bool(task.pieces)
        elif task.pieces:
            self._say_more(task, next(iter(task.pieces)) if not task.just_opened else next(reversed(task.pieces)))
            task.just_opened = False
        else:
            return False
        with self._changed:
            self._used[task.visitor] = self._used.get(task.visitor, 0.0) + self._clock() - began
        return True

    def _to_open(self, task: Task) -> int | None:
        at = next((at for at, answer in enumerate(task.answers) if answer.state is State.WAITING), None)
        lines = list(self._lines.values())
        opened = sum(len(line[0].pieces) for line in lines if line)
        if at is None or not ((task.pieces and opened < 2 * self._most_open) or self._let_in(task, opened)):
            return None
        now = self._clock()
        short = [line[0].short_since for line in lines if line and line[0] is not task]
        if any(since is not None and now - since > HELD_OFF_S for since in short):
            return None
        if not opened or self._fits(task.sides[at]):  # with nothing else open: now, or there is not enough at all
            return at
        task.short_since = task.short_since or now
        return None

    def _let_in(self, task: Task, opened: int) -> bool:
        """Whether a task's first side may be opened beside so many open ones."""
        if opened < self._most_open:
            return True
        if task.pieces or opened >= MOST_CROWDED * self._most_open or not self._room.spare():
            return False
        others = [self._used[visitor] for visitor, line in self._lines.items() if line and line[0].pieces]
        return min(others, default=0.0) - self._used[task.visitor] >= LONG_S

    def _fits(self, side: Side) -> bool:
        """Also true for a side that cannot be looked at: opening it says why."""
        try:
            return self._room.fits(side)
        except Exception as error:  # noqa: BLE001 - whatever it is: told by `_open`
            log.info("Cannot tell what %s needs: %s", side.text, error)
            return True

    def _open(self, task: Task, at: int) -> None:
        task.short_since = None
        task.say(at, replace(task.answers[at], state=State.LOADING))
        side, taken = task.sides[at], False
        try:
            self._room.check(side)
            model = self._room.take(side)
            taken = True
            task.pieces[at] = task.work(model, at)
            task.say(at, replace(task.answers[at], state=State.WORKING))
        except BaseException as error:
            if not is_fault(error):
                raise
            if taken:
                self._room.give(side)
            self._failed(task, at, error)

    def _say_more(self, task: Task, at: int) -> None:
        pieces, until = task.pieces.pop(at), self._clock() + self._piece_s
        task.pieces[at] = pieces  # behind the others
        try:
            while True:
                answer = next(pieces, None)
                if answer is not None:
                    task.say(at, answer)
                if answer is None or answer.state.final:
                    self._close(task, at)
                    return
                if self._clock() >= until or task.cancelled:
                    return
        except BaseException as error:
            if not is_fault(error):
                raise
            self._close(task, at)
            self._failed(task, at, error)

    def _close(self, task: Task, at: int) -> None:
        """Give a side's model back. What is open and final was closed."""
        close = getattr(task.pieces.pop(at), "close", None)
        if close is not None:
            close()
        self._room.give(task.sides[at])

    def _failed(self, task: Task, at: int, error: BaseException) -> None:
        if not isinstance(error, ThawError):
            log.exception("A model failed to answer")
        told = explained(error, doing="The model failed to answer.")
        task.say(at, replace(task.answers[at], state=State.FAILED, error=in_parts(told)))

    def _place(self, task: Task) -> int:
        """1 + how many that have not begun are before it: visitors take turns, whoever has had least first."""
        order = [(number, self._used.get(visitor, 0.0), other.asked, other)
                 for visitor, line in self._lines.items()
                 for number, other in enumerate(line) if not other.begun]
        ahead = sorted(order, key=lambda one: one[:3])
        return next((at for at, one in enumerate(ahead, start=1) if one[3] is task), 1)
