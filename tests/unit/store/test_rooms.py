"""Rooms in the store: codes, who joins, and for how long."""

from __future__ import annotations

import concurrent.futures
import time

import pytest

from core.errors import DataError, NotFoundError
from core.settings import Settings
from core.store import Store
from core.store.rooms import ALPHABET, CODE_LENGTH, MOST_GUESTS, Rooms


@pytest.fixture
def rooms(settings: Settings) -> Rooms:
    return Store(settings).rooms


def test_a_code_is_found_however_it_is_typed(rooms: Rooms) -> None:
    room = rooms.open("teacher", "transfer", seconds=60)
    assert len(room.code) == CODE_LENGTH and set(room.code) <= set(ALPHABET) and room.open and not room.shown
    first, last = room.code[:3], room.code[3:]
    for typed in (room.code, room.code.lower(), f"{first} {last}", f" {first}-{last} "):
        assert rooms.get(typed) == room
    with pytest.raises(NotFoundError, match="no room") as error:
        rooms.get("AAAAAA")
    assert error.value.remedy
    assert rooms.of_teacher("teacher") == [room] and rooms.of_teacher("another") == []


def test_everybody_has_a_number_of_their_own_also_when_all_join_at_once(settings: Settings, rooms: Rooms) -> None:
    room = rooms.open("teacher", "transfer", seconds=60)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        joined = list(pool.map(lambda k: Store(settings).rooms.join(f"ws{k}", room.code, f"guest {k}"), range(30)))
    assert sorted(guest.number for guest in joined) == list(range(1, 31))
    again = rooms.join("ws7", room.code, "  Ada   Lovelace ")
    assert again.number == next(guest.number for guest in joined if guest.workspace == "ws7")
    assert again.name == "Ada Lovelace" and len(rooms.guests(room.code)) == 30


def test_who_leaves_is_gone_and_nobody_gets_the_number(rooms: Rooms) -> None:
    room = rooms.open("teacher", "transfer", seconds=60)
    rooms.join("-a", room.code, "A")  # ids are random letters, digits, dashes and underscores
    rooms.join("_b", room.code, "B")
    rooms.leave("_b", room.code)
    assert rooms.of_guest("_b", "transfer") is None
    assert rooms.join("c", room.code, "C").number == 3
    assert [guest.name for guest in rooms.guests(room.code)] == ["A", "C"]
    rooms.leave("c", room.code)
    rooms.leave("-a", room.code)
    assert rooms.guests(room.code) == []


def test_a_guest_is_in_the_room_of_the_lesson_that_was_joined_last(rooms: Rooms) -> None:
    first, second = (rooms.open("teacher", "transfer", seconds=60) for _ in range(2))
    other = rooms.open("teacher", "layers", seconds=60)
    for room in (first, other, second):
        rooms.join("a", room.code, "A")
        time.sleep(0.01)
    found = rooms.of_guest("a", "transfer")
    assert found is not None and found[0].code == second.code and found[1].number == 1
    rooms.update("teacher", second.code, ends=time.time() - 1)
    found = rooms.of_guest("a", "transfer")
    assert found is not None and found[0].code == first.code


def test_what_cannot_be_joined_says_why(rooms: Rooms) -> None:
    room = rooms.open("teacher", "transfer", seconds=60)
    with pytest.raises(DataError, match="needs a name"):
        rooms.join("a", room.code, "   ")
    rooms.update("teacher", room.code, ends=time.time() - 1)
    with pytest.raises(DataError, match="has ended"):
        rooms.join("a", room.code, "A")
    rooms.update("teacher", room.code, ends=time.time() + 60, shown=True)
    assert rooms.get(room.code).shown and rooms.join("a", room.code, "A" * 99).name == "A" * 40
    for number in range(MOST_GUESTS - 1):
        rooms.join(f"ws{number}", room.code, "G")
    with pytest.raises(DataError, match="full"):
        rooms.join("late", room.code, "L")
    assert rooms.join("a", room.code, "A").number == 1  # who is in may come again


def test_only_the_teacher_changes_a_room(rooms: Rooms) -> None:
    room = rooms.open("teacher", "transfer", seconds=60)
    with pytest.raises(NotFoundError):
        rooms.update("another", room.code, shown=True)
    assert not rooms.get(room.code).shown
