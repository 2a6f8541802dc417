"""The pages *Lessons*, *Lesson* and *Room*: predict, measure, compare, together."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from core import lessons
from core.api import Thaw
from core.domain.dataset import Dataset
from core.domain.run import Status
from core.errors import RecipeError
from core.settings import Settings
from core.store import Store
from tests.conftest import WORKSPACE
from tests.ui.conftest import put_results, shown

GUESTS = ("guest-workspace-1", "guest-workspace-2")
WRONG = {"scratch": 9, "full": 1, "probe": 2}


def finish(settings: Settings, ws: str, dataset: Dataset) -> None:
    """End every run of a workspace with made-up results."""
    store = Store(settings)
    for _run in Thaw(settings).runs.all(ws):
        claim = store.queue.claim(supervisor="test", host="test", slots=9)
        assert claim is not None and claim.run.recipe is not None
        put_results(Path(claim.run.folder), dataset, wrong=WRONG[claim.run.recipe.method])
        store.queue.finish(claim.run.id, fence=claim.fence, status=Status.DONE)


def test_all_lessons_are_listed_in_their_order(app: Callable[..., AppTest]) -> None:
    at = app("lessons")
    assert not at.exception and not at.error
    for number, lesson in enumerate(lessons.REGISTRY.values(), 1):
        assert lesson.asks in shown(at)
        assert f"{number}. {lesson.title}" in [link.proto.label for link in at.get("page_link")]


@pytest.mark.parametrize("name", lessons.REGISTRY)
def test_every_lesson_opens_with_its_question(name: str, app: Callable[..., AppTest]) -> None:
    at = app("lesson", lesson=name)
    lesson = lessons.get(name)
    assert not at.exception and not at.error
    assert at.title[0].value == lesson.title and lesson.asks in shown(at)
    assert lesson.claim not in shown(at) and at.slider  # what comes out is not said before


def test_a_lesson_that_there_is_not_leads_to_all_of_them(app: Callable[..., AppTest]) -> None:
    at = app("lesson", lesson="nothing")
    assert not at.exception and "no such lesson" in at.error[0].value and "Choose a lesson first" in shown(at)


def test_a_lesson_from_prediction_to_what_the_paper_says(app: Callable[..., AppTest], settings: Settings,
                                                         dataset: Dataset) -> None:
    at = app("lesson", lesson="transfer")
    assert [slider.label for slider in at.slider] == ["From scratch", "Full fine-tuning", "Linear probe"]
    at.slider(key="lesson_transfer_scratch").set_value(0.4).run()
    at.button(key="lesson_predict").click().run()
    api = Thaw(settings)
    assert api.lessons.prediction(WORKSPACE, "transfer") == {"scratch": 0.4, "full": 0.5, "probe": 0.5}
    assert lessons.get("transfer").claim in shown(at)
    with pytest.raises(RecipeError, match="predicted already"):
        api.lessons.predict(WORKSPACE, "transfer", {"scratch": 0.9})
    start = at.button(key="lesson_start")
    assert start.label.startswith("Start 3 runs")
    start.click().run()
    assert not at.exception and len(api.runs.all(WORKSPACE)) == 3
    assert api.lessons.measured("transfer", api.lessons.question(WORKSPACE, "transfer")) is None
    finish(settings, WORKSPACE, dataset)
    at.run()
    words = shown(at) + "".join(each.value for each in at.info)
    assert "Your prediction is" in words and "in the right order" in words
    assert "This miniature agrees with the paper" in words
    assert "**Full fine-tuning** is better than **From scratch** on test rows" in words
    assert "Measured here" in [badge.value for badge in app("lessons").get("markdown")] or "Measured here" in shown(
        app("lessons"))
    at.button(key="lesson_again").click().run()
    assert api.lessons.prediction(WORKSPACE, "transfer") is None and at.slider


def test_one_may_look_without_a_prediction(app: Callable[..., AppTest]) -> None:
    at = app("lesson", lesson="layers")
    at.button(key="lesson_look").click().run()
    assert not at.slider and lessons.get("layers").claim in shown(at)
    assert at.button(key="lesson_start").label.startswith("Start 4 runs")


@pytest.mark.parametrize("name", lessons.REGISTRY)
def test_a_result_that_comes_with_thaw_says_so_and_writes_numbers_as_people_do(
        name: str, app: Callable[..., AppTest]) -> None:
    at = app("lesson", lesson=name)
    at.button(key="lesson_predict").click().run()
    assert not at.exception and not at.error
    words = shown(at) + at.info[0].value
    assert "This result comes with Thaw; it was not measured on this machine." in words
    assert re.search(r"Measured on \d+ November 2026 on .+, in (bf16|fp32)\.", words), "a date as it is read"
    assert not re.search(r"[ (]-\d|[+−]0\.0+[ )]", words), "a minus sign before a number, and none before zero"
    unit = " nats a token" if lessons.get(name).metric == "loss" else " points"
    assert re.search(rf"Your prediction is [\d.]+{unit} away on average; of \d arms (none|1) lies|\d lie within", words)
    assert re.search(rf"\| [+−][\d.]+{unit} \([+−][\d.]+ to [+−][\d.]+\) \|", words), "with its sign and unit"


def test_the_labels_of_a_lesson_are_predicted_as_curves(app: Callable[..., AppTest]) -> None:
    at = app("lesson", lesson="labels")
    assert "The share of rows whose prediction is the label." in shown(at), "what is predicted is explained"
    [chart] = at.get("plotly_chart")
    drawn = json.loads(chart.proto.spec)["data"]
    assert [trace["name"] for trace in drawn] == ["Full fine-tuning, your prediction", "From scratch, your prediction"]
    assert drawn[0]["mode"] == "lines+markers" and drawn[0]["x"] == [20, 60, 180, 540]


def test_a_room_from_its_code_to_pooled_seeds(app: Callable[..., AppTest], settings: Settings,
                                              dataset: Dataset) -> None:
    at = app("lessons")
    at.button(key="room_open").click().run()
    api = Thaw(settings)
    [room] = api.rooms.mine(WORKSPACE)
    code = room.code
    for number, ws in enumerate(GUESTS, 1):
        api.rooms.join(ws, code.lower(), f"Guest {number}")
        api.lessons.predict(ws, "transfer", {"scratch": 0.3 * number, "full": 0.9, "probe": 0.8})
    teacher = app("room", room=code)
    assert not teacher.exception and f"Room {code[:3]} {code[3:]}" in teacher.title[0].value
    assert [metric.value for metric in teacher.metric] == ["2", "2", "0", "0"]
    assert "what 2 people predict" in shown(teacher)
    for number, ws in enumerate(GUESTS, 1):
        api.lessons.start(ws, "transfer", seeds=[number])
        finish(settings, ws, dataset)
    teacher.run()
    assert [metric.value for metric in teacher.metric] == ["2", "2", "0", "2"]
    pooled = api.rooms.pooled(code)
    assert pooled.runs == 6 and pooled.measured is not None and pooled.measured.seeds == 2
    assert pooled.measured.values["scratch"].value == pytest.approx(0.5)
    assert "6 runs of the room, pooled: 2 seeds of each arm" in shown(teacher)
    assert not any(ws in shown(teacher) for ws in GUESTS)  # the key to a workspace stays with its guest
    teacher.button(key="room_show").click().run()
    assert api.rooms.mine(WORKSPACE)[0].shown


def test_the_address_to_join_at_is_given_with_the_code_filled_in(
        app: Callable[..., AppTest], settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    at = app("lessons")
    at.button(key="room_open").click().run()
    assert not at.exception and not at.code, "the browser does not say its address"
    code = Thaw(settings).rooms.mine(WORKSPACE)[0].code
    for own, base, alone in (("http://127.0.0.1:8501/room", "http://127.0.0.1:8501", True),
                             ("https://example.org/thaw/room", "https://example.org/thaw", False)):
        monkeypatch.setattr(ContextProxy, "url", own)
        teacher = app("room", room=code)
        assert [each.value for each in teacher.code] == [f"{base}/lessons?code={code}"]
        assert ("works on this machine alone" in shown(teacher)) == alone
    guest = app("lessons", code=code, ws=GUESTS[0])
    assert guest.text_input(key="room_code").value == code
    guest.text_input(key="room_name").set_value("Ada")
    guest.button(key="room_enter").click().run()
    assert not guest.exception and "You are Ada; your seed is 1" in shown(guest)


def test_a_room_without_its_code_is_asked_for_it(app: Callable[..., AppTest]) -> None:
    at = app("lessons")
    at.button(key="room_enter").click().run()
    assert not at.exception and "The code is missing." in at.error[0].value


def test_who_joins_late_predicts_before_seeing_what_the_room_says(app: Callable[..., AppTest],
                                                                   settings: Settings) -> None:
    api = Thaw(settings)
    room = api.rooms.open("teacher-workspace-1", "transfer")
    api.rooms.join(GUESTS[0], room.code, "Ada")
    api.lessons.predict(GUESTS[0], "transfer", {"scratch": 0.3, "full": 0.9, "probe": 0.8})
    api.rooms.show("teacher-workspace-1", room.code)
    api.rooms.join(WORKSPACE, room.code, "Ben")
    at = app("lesson", lesson="transfer")
    assert "The room" not in [header.value for header in at.header]
    assert "once you have made your prediction" in shown(at)
    at.button(key="lesson_predict").click().run()
    assert not at.exception and "The room" in [header.value for header in at.header]


def test_a_guest_sees_the_room_once_it_is_shown(app: Callable[..., AppTest], settings: Settings) -> None:
    api = Thaw(settings)
    room = api.rooms.open("teacher-workspace-1", "transfer")
    at = app("lessons")
    at.text_input(key="room_code").set_value(room.code)
    at.text_input(key="room_name").set_value("Ada")
    at.button(key="room_enter").click().run()
    assert not at.exception and at.title[0].value == "Transfer against scratch"
    assert "You are Ada; your seed is 1" in shown(at)
    api.lessons.predict(WORKSPACE, "transfer", {"scratch": 0.3, "full": 0.9, "probe": 0.8})
    at = app("lesson", lesson="transfer")
    assert "The room" not in [header.value for header in at.header]
    assert not [each for each in at.get("button_group") if each.key == "lesson_seeds"]  # the room says which seed
    api.rooms.show("teacher-workspace-1", room.code)
    at.run()
    assert "The room" in [header.value for header in at.header]
    at.button(key="room_leave").click().run()
    assert "You are Ada" not in shown(at)


def test_a_wrong_code_says_what_to_do(app: Callable[..., AppTest]) -> None:
    at = app("lessons")
    at.text_input(key="room_code").set_value("ZZZZZZ")
    at.text_input(key="room_name").set_value("Ada")
    at.button(key="room_enter").click().run()
    assert not at.exception and "no room" in at.error[0].value


def test_a_prediction_of_arms_that_a_lesson_no_longer_has_stays_what_it_was(app: Callable[..., AppTest],
                                                                            settings: Settings) -> None:
    """The lesson of the layers had eight depths once."""
    Thaw(settings).lessons.predict(WORKSPACE, "layers", {f"thaw-{depth}": 0.5 + depth / 20 for depth in range(8)})
    at = app("lesson", lesson="layers")
    assert not at.exception and not at.error
    assert "Your prediction is" in shown(at) + "".join(each.value for each in at.info)
