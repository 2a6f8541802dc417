"""Visitors share the computing time, whatever they ask; memory is waited for, and nobody is passed over for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.domain.side import Side
from core.errors import ThawError
from core.serving import turns as module
from core.serving.question import Answer, State
from core.serving.turns import Task, Turns

A, B, C = (Side(run=name) for name in "abc")


class Clock:
    """A clock that work moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Room:
    """Room for so many models at a time."""

    def __init__(self, places: int = 99) -> None:
        self.places, self.taken, self.roomy = places, [], True

    def fits(self, side: Side) -> bool:
        return side in self.taken or len(set(self.taken)) < self.places

    def spare(self) -> bool:
        return self.roomy

    def check(self, side: Side) -> None:
        if not self.places:
            raise ThawError("No room.", why="It is full.", remedy="Wait.")

    def take(self, side: Side) -> str:
        self.taken.append(side)
        return side.run

    def give(self, side: Side) -> None:
        self.taken.remove(side)


def saying(clock: Clock, pieces: int, seconds: float = 1.0):
    """Work of so many pieces, each of which takes a while."""
    def work(model: str, at: int) -> Iterator[Answer]:
        for piece in range(pieces):
            clock.now += seconds
            done = piece == pieces - 1
            yield Answer(state=State.DONE if done else State.WORKING, text=model * (piece + 1))

    return work


def finished(turns: Turns, limit: int = 10_000) -> None:
    while turns.step() and limit:
        limit -= 1
    assert limit


def test_sides_of_one_task_are_answered_side_by_side() -> None:
    clock, room = Clock(), Room()
    turns = Turns(room, clock=clock)
    task = Task(visitor="v", sides=(A, B), work=saying(clock, 4))
    turns.ask(task)
    lengths = []
    while turns.step():
        lengths.append(tuple(len(answer.text) for answer in turns.look(task).answers))
    assert [answer.text for answer in turns.look(task).answers] == ["aaaa", "bbbb"]
    assert max(abs(a - b) for a, b in lengths) <= 1
    assert room.taken == [] and task.ended is not None and turns.look(task).final


def test_who_floods_the_line_waits_for_himself_alone() -> None:
    clock = Clock()
    turns = Turns(Room(), clock=clock)
    flood = [Task(visitor="greedy", sides=(A,), work=saying(clock, 30)) for _ in range(4)]
    for task in flood:
        turns.ask(task)
    for _ in range(10):
        turns.step()
    began = clock.now
    late = Task(visitor="modest", sides=(A,), work=saying(clock, 5))
    turns.ask(late)
    while late.ended is None:
        turns.step()
    assert late.ended - began <= 2 * 5 + 2, "half of the time was his"
    for _ in range(module.MOST_WAITING):
        turns.ask(Task(visitor="other", sides=(A,), work=saying(clock, 1)))
    with pytest.raises(ThawError, match="several questions"):
        turns.ask(Task(visitor="other", sides=(A,), work=saying(clock, 1)))


def test_thirty_visitors_wait_no_longer_than_an_equal_share() -> None:
    clock = Clock()
    turns = Turns(Room(), clock=clock)
    tasks = [Task(visitor=str(n), sides=(A, B), work=saying(clock, 1, 0.1)) for n in range(30)]
    for task in tasks:
        turns.ask(task)
    assert [turns.look(task).place for task in tasks] == list(range(1, 31))
    finished(turns)
    assert all(turns.look(task).final for task in tasks)
    assert clock.now == pytest.approx(30 * 2 * 0.1)
    assert min(task.ended or 0 for task in tasks) > 30 * 0.1, "nobody had his second answer before all had their first"


@pytest.mark.parametrize("long", [module.MOST_OPEN, 29])
def test_a_short_question_does_not_wait_for_the_end_of_long_answers(long: int) -> None:
    clock, room = Clock(), Room()
    turns = Turns(room, clock=clock)
    answers = [Task(visitor=f"long-{n}", sides=(A,), work=saying(clock, 1000, 0.1)) for n in range(long)]
    for task in answers:
        turns.ask(task)
    for _ in range(40 * long):
        turns.step()
    began = clock.now
    short = Task(visitor="short", sides=(A,), work=saying(clock, 1, 0.1))
    turns.ask(short)
    while short.ended is None:
        turns.step()
    assert clock.now - began <= (long + 1) * (module.LONG_S + 2 * module.PIECE_S), "a second of each of the others"
    assert not any(task.ended for task in answers)
    assert all(turns.look(task).answers[0].text for task in answers), "all of the long ones are under way"


def test_where_memory_is_short_nobody_is_let_in_beside_the_open_ones() -> None:
    clock, room = Clock(), Room()
    room.roomy = False
    turns = Turns(room, clock=clock)
    for n in range(12):
        turns.ask(Task(visitor=str(n), sides=(A,), work=saying(clock, 60)))
    most = 0
    while turns.step():
        most = max(most, len(room.taken))
    assert most == module.MOST_OPEN


def test_more_than_fits_is_answered_one_after_another() -> None:
    clock, room = Clock(), Room(places=1)
    turns = Turns(room, clock=clock)
    task = Task(visitor="v", sides=(A, B, C), work=saying(clock, 3))
    turns.ask(task)
    finished(turns)
    assert [answer.text for answer in turns.look(task).answers] == ["aaa", "bbb", "ccc"]


def test_who_waits_for_memory_for_long_is_not_passed_over() -> None:
    clock, room = Clock(), Room(places=1)
    turns = Turns(room, clock=clock)
    first = Task(visitor="first", sides=(A,), work=saying(clock, 20))
    turns.ask(first)
    turns.step()
    waiting = Task(visitor="waiting", sides=(B,), work=saying(clock, 1))
    turns.ask(waiting)
    for number in range(30):  # others keep the model that is there in use
        turns.ask(Task(visitor=f"other-{number}", sides=(A,), work=saying(clock, 6)))
    while waiting.ended is None:
        assert turns.step()
    assert turns.waiting() > 15, "it came before most of them"


def test_what_is_cancelled_stops_and_gives_its_model_back() -> None:
    clock, room = Clock(), Room()
    turns = Turns(room, clock=clock)
    task = Task(visitor="v", sides=(A, B), work=saying(clock, 1000))
    turns.ask(task)
    for _ in range(6):
        turns.step()
    turns.cancel(task)
    finished(turns)
    assert {answer.state for answer in turns.look(task).answers} == {State.STOPPED}
    assert turns.look(task).answers[0].text and room.taken == []


def test_a_side_that_fails_leaves_the_others(caplog: pytest.LogCaptureFixture) -> None:
    def work(model: str, at: int) -> Iterator[Answer]:
        if model == "a":
            raise RuntimeError("broken")
        yield Answer(state=State.DONE, text="fine")

    room = Room()
    turns = Turns(room)
    task = Task(visitor="v", sides=(A, B), work=work)
    turns.ask(task)
    finished(turns)
    failed, fine = turns.look(task).answers
    assert failed.state is State.FAILED and "broken" in (failed.error or {})["why"]
    assert fine.text == "fine" and room.taken == []
    full = Task(visitor="v", sides=(A,), work=work)
    room.places = 0
    turns.ask(full)
    finished(turns)
    assert (turns.look(full).answers[0].error or {})["what"] == "No room."


def test_nobody_is_away_while_somebody_waits_however_long_a_piece_of_work_takes() -> None:
    """A server ends where it was idle for long: never with a question open, nor before its answer could be fetched."""
    clock = Clock()
    turns = Turns(Room(), clock=clock)
    clock.now = 5.0
    assert turns.idle_s() == 5.0
    task = Task(visitor="v", sides=(A,), work=saying(clock, 1, seconds=900.0))
    turns.ask(task)
    clock.now += 700.0
    assert turns.idle_s() == 0.0
    finished(turns)
    assert clock.now > 1600.0 and turns.waiting() == 0 and turns.idle_s() == 0.0
    clock.now += 7.0
    assert turns.idle_s() == 7.0
    assert turns.look(task).final and turns.idle_s() == 0.0
