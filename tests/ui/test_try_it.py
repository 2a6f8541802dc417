"""The Try it page: what is asked of which models, and how their answers stand beside each other."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.analysis import View, feature_paths
from core.analysis.feature_files import BlockFeatures
from core.api import Answers, Offered, ServerGone, State, Thaw, TriedAnswer
from core.api.playground import Playground
from core.domain.attribution import Attribution
from core.domain.side import Side, Which
from core.serving.question import WeightFile
from pages._ui.try_it import rests, sides
from tests.conftest import WORKSPACE, write_language_dataset
from tests.ui.conftest import cloud, put_language_runs, shown

FILES = (WeightFile(name="minilm: model.safetensors", sha256="5" * 64, size_bytes=90_000_000),)
DONE = TriedAnswer(state=State.DONE, label="sport", digest="d1", precision="fp32", files=FILES,
                   probabilities={"money": 0.2, "sport": 0.7, "tech": 0.1})


class Answering:
    """In place of the process that holds the models: what it was asked, and the answers that it gives in turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.stopped = [], []
        self.answers = [Answers(answers=(DONE, replace(DONE, digest="d2")))]
        self._patch = monkeypatch
        monkeypatch.setattr(Playground, "ask", self.ask)
        monkeypatch.setattr(Playground, "look", self.look)
        monkeypatch.setattr(Playground, "stop", lambda _, handle: self.stopped.append(handle))

    def offer(self, sides):
        """Only these sides can be asked."""
        self._patch.setattr(Playground, "sides", lambda *_: sides)

    def ask(self, ws, sides, **question):
        self.asked.append((ws, list(sides), question))
        return f"handle-{len(self.asked)}"

    def look(self, handle, *, known=-1, wait_s=0.0):
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        return found, 1


@pytest.fixture
def answering(monkeypatch):
    return Answering(monkeypatch)


def test_a_run_from_scratch_is_not_what_is_tried_first(ended, settings):
    api = Thaw(settings)
    newest, older = (api.runs.get(WORKSPACE, id) for id in reversed(ended.done))
    scratch = replace(newest, recipe=newest.recipe.replace(method="scratch"))
    assert sides.first({newest.id: newest, older.id: older}) == newest.id
    assert sides.first({scratch.id: scratch, older.id: older}) == older.id
    assert sides.first({scratch.id: scratch}) == scratch.id


def test_two_sides_stand_beside_each_other_with_their_files(app, ended, facts, answering):
    at = app("try_it", run=ended.done[1])
    assert not at.exception and not at.error
    assert at.selectbox(key="try_run").value == ended.done[1]
    at.multiselect[0].set_value([f"{id}:final" for id in ended.done]).run()
    at.text_area(key="try_text").set_value("a goal in the cup").run()
    at.button(key="try_go").click().run()
    assert not at.exception and not at.error
    [(ws, sides, question)] = answering.asked
    assert ws == WORKSPACE and question["texts"] == ["a goal in the cup"]
    assert [(side.run, side.which) for side in sides] == [(id, Which.FINAL) for id in ended.done]
    text = shown(at)
    assert "Answers" in text and list(at.dataframe[0].value["SHA-256"]) == ["5" * 64] * 2
    assert "to the last bit" not in text


def test_the_run_itself_stands_beside_at_strengths_up_to_four(app, ended, facts, answering):
    answering.answers = [Answers(answers=(DONE,) * 4)]
    at = app("try_it", run=ended.done[1])
    key = f"try_strengths_{ended.done[1]}"
    at.multiselect(key=key).set_value(["0.5", "1.25", "0", "0.75"]).run()
    assert not at.error and "left out" in shown(at)
    at.text_area(key="try_text").set_value("x").run()
    at.button(key="try_go").click().run()
    assert not at.exception and not at.error
    [(_, sides, _)] = answering.asked
    assert [side.text.partition(":")[2] for side in sides] == ["final", "final@0.5", "final@1.25", "final@0"]


def test_the_same_bits_are_said_and_only_then(app, ended, facts, answering):
    answering.answers = [Answers(answers=(DONE, DONE))]
    at = app("try_it", run=ended.done[0])
    at.multiselect[0].set_value([f"{id}:final" for id in ended.done]).run()
    at.text_area(key="try_text").set_value("x").run()
    at.button(key="try_go").click().run()
    assert "gave the same output to the last bit" in shown(at)


def test_what_an_answer_rests_on_is_coloured_and_said_and_checked_with_one_click(app, ended, facts, answering):
    found = Attribution(label="sport", pieces=("a", "goal", "*x*"), shares=(0.01, 2.0, -0.5), difference=1.6,
                        error=0.09)
    checked = replace(found, checked=True, random_rank=0.125, error=0.8)
    answering.answers = [Answers(answers=(replace(DONE, rests_on=each),)) for each in (found, checked)]
    at = app("try_it", run=ended.done[0])
    at.text_area(key="try_text").set_value("a goal *x*").run()
    at.toggle(key="try_rests").set_value(True).run()
    at.button(key="try_go").click().run()
    text = shown(at)
    assert ":green-background[goal]" in text and r":red[\*x\*]" in text and "Most for sport: goal (+2.00)" in text
    assert "sum to +1.51 logits" in text and "+1.60" in text and "(5.6 %)" in text and "Rank correlation" not in text
    at.button(key="try_check").click().run()
    assert [question["rests_on"] for _, _, question in answering.asked] == [True, True]
    assert answering.asked[1][2]["randomised"] and "**+0.12**" in shown(at)
    assert "So large an error" in shown(at) and "So large an error" not in text
    assert "try_check" not in [button.key for button in at.button]


def test_the_first_token_of_a_language_models_answer_is_named_with_what_it_rests_on():
    found = Attribution(label=" Paris", says=True, pieces=("The", " cap", "ital*", "\n", " of", " Über"),
                        shares=(0.0, 2.0, -1.5, 0.1, 0.4, 0.0), difference=0.9, error=0.1, earlier=1200)
    assert rests._coloured(found) == (r"The :green-background[cap]:red-background[ital\*] ↵ :green[of] Über")
    assert rests._in_words(found).startswith("Most for “Paris”: cap (+2.00), of (+0.40), ↵ (+0.10).")
    how = rests._how(found)
    assert "first token of the answer, “Paris”" in how and "log-probability" in how and "1,200 tokens before" in how
    assert "sum to +1.00 nats" in rests._complete(found)


def test_a_language_model_is_asked_what_its_first_token_rests_on(app, settings, answering):
    ids = put_language_runs(settings, write_language_dataset(settings, n_rows=20, chat=True))
    folder = settings.workspace(WORKSPACE) / "runs" / ids["lora"] / "artifact"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.json").write_text(json.dumps({"classes": [], "shape": "chat", "precision": "bf16"}))
    rests_on = Attribution(label=" Paris", says=True, pieces=("Capital", "?"), shares=(0.5, -0.1), difference=0.4)
    said = TriedAnswer(state=State.DONE, text="Paris.", tokens=2, ended=True, digest="d1", rests_on=rests_on,
                       compared="the conversation with this model's own answer")
    answering.answers = [Answers(answers=(replace(said, state=State.WORKING, rests_on=None, progress=0.25),) * 2),
                         Answers(answers=(said,) * 2)]
    at = app("try_it", run=ids["lora"])
    assert not at.exception and not at.error
    at.text_area(key="try_text").set_value("Capital?").run()
    for key in ("try_rests", "try_near", "try_place"):
        at.toggle(key=key).set_value(True).run()
    at.button(key="try_go").click().run()
    question = answering.asked[0][2]
    assert not at.exception and question["rests_on"] and question["placed"] and question["nearest"] == 5
    at.run()
    text = shown(at)
    assert [each.value for each in at.text] == ["Paris."] * 2 and ":green-background[Capital]" in text
    assert "first token of the answer, “Paris”" in text and "sum to +0.40 nats" in text
    assert "the conversation with this model's own answer" in text
    at.button(key="try_check").click().run()
    assert answering.asked[1][2]["randomised"] and answering.asked[1][2]["rests_on"]


def test_a_row_that_is_typed_again_is_drawn_on_its_own_point_on_both_sides(app, made, moved, settings, answering):
    """The models are those of `made`: what each makes of row 7 is what its file of features holds."""
    run = made(moved=moved)
    thaw = Thaw(settings)
    sides = [Side(run=run, which=Which.BASE), Side(run=run)]
    maps = [thaw.playground.rows_map(WORKSPACE, side) for side in sides]
    compared = thaw.features.compare(WORKSPACE, *sides, names=("a", "b"))
    page = compared.map(len(compared.shift.blocks) - 1, View.BASE)
    own = BlockFeatures.load(feature_paths.of_run(Path(thaw.runs.get(WORKSPACE, run).folder), settings=settings,
                                                  rows=2000).tuned).blocks["block 5"]
    found = [maps[0].map.place(cloud(6)[7:8].astype(np.float32))[0], maps[1].map.place(own[7:8].astype(np.float32))[0]]
    answering.offer([Offered(side=side, name=name) for side, name in zip(sides, ("Base", "the run"), strict=True)])
    answering.answers = [Answers(answers=tuple(replace(DONE, placed=each) for each in found))]
    at = app("try_it", run=run)
    at.text_area(key="try_text").set_value("row 7").run()
    at.toggle(key="try_place").set_value(True).run()
    at.button(key="try_go").click().run()
    assert not at.exception and not at.error
    [(_, asked, question)] = answering.asked
    assert question["placed"] and asked == sides
    drawn = [json.loads(chart.proto.spec) for chart in at.get("plotly_chart")]
    assert len(drawn) == 2
    for figure, positions in zip(drawn, (page.base, page.tuned), strict=True):
        [star] = [trace for trace in figure["data"] if trace.get("name") == "your input"]
        assert [star["x"][0], star["y"][0]] == pytest.approx(positions[7].tolist(), abs=1e-9)
    assert drawn[0]["layout"]["xaxis"]["range"] == drawn[1]["layout"]["xaxis"]["range"], "one window, one map"
    assert shown(at).count("It lands on a row of the map") == 2
    assert all("star" in chart.proto.alt for chart in at.get("plotly_chart"))


def test_a_run_without_features_says_where_to_make_them(app, ended, facts, answering):
    answering.answers = [Answers(answers=(replace(DONE, unplaced={
        "what": "There is no map.", "why": "No features.", "remedy": "Make them.", "kind": "internal"}),))]
    at = app("try_it", run=ended.done[0])
    at.text_area(key="try_text").set_value("x").run()
    at.toggle(key="try_place").set_value(True).run()
    at.button(key="try_go").click().run()
    assert not at.exception and "There is no map. No features. Make them." in shown(at)
    assert any("Features of this run" in str(link.proto) for link in at.get("page_link"))


def test_a_picture_gets_a_heat_map_over_what_the_network_reads_with_words(app, ended, facts, answering):
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (90, 90, 90)).save(file, "PNG")
    found = Attribution(label="sport", shares=(0.0, 0.0, -1.0, 2.0), columns=2, difference=1.0,
                        picture=base64.b64encode(file.getvalue()).decode())
    drawn = rests.heat(found)
    at = drawn.width // 4
    assert drawn.getpixel((at, at)) == (125, 125, 125), "grey, and no black on which colours are lost"
    red, green, _ = drawn.getpixel((at, 3 * at))
    assert red > green
    red, green, _ = drawn.getpixel((3 * at, 3 * at))
    assert green > red
    answering.answers = [Answers(answers=(replace(DONE, rests_on=found),))]
    page = app("try_it", run=ended.done[0])
    page.text_area(key="try_text").set_value("x").run()
    page.button(key="try_go").click().run()
    assert not page.exception and "Most for it: the bottom right (+2.00)" in shown(page)


def test_a_place_in_the_line_and_stop(app, ended, facts, answering):
    answering.answers = [Answers(answers=(TriedAnswer(),), place=3)]
    at = app("try_it", run=ended.done[0])
    at.text_area(key="try_text").set_value("x").run()
    at.button(key="try_go").click().run()
    assert "Place 3 in the line" in shown(at)
    at.button(key="try_stop").click().run()
    assert answering.stopped == ["handle-1"]


def test_a_server_that_was_killed_is_asked_again_and_the_page_says_so(app, ended, facts, answering):
    answering.answers = [ServerGone("It ended."), Answers(answers=(DONE,))]
    at = app("try_it", run=ended.done[0])
    at.text_area(key="try_text").set_value("x").run()
    at.button(key="try_go").click().run()
    assert len(answering.asked) == 2
    assert any("started again" in info.value for info in at.info)


def test_one_side_that_fails_is_told_in_three_parts_beside_the_others(app, ended, facts, answering):
    failed = TriedAnswer(state=State.FAILED, error={"what": "No room.", "why": "It is large.", "remedy": "Wait."})
    answering.answers = [Answers(answers=(DONE, failed))]
    at = app("try_it", run=ended.done[0])
    at.multiselect[0].set_value([f"{id}:final" for id in ended.done]).run()
    at.text_area(key="try_text").set_value("x").run()
    at.button(key="try_go").click().run()
    assert len(at.error) == 1 and all(part in at.error[0].value for part in ("No room", "It is large", "Wait"))
    assert not at.exception


@pytest.mark.parametrize("text", ["", "   \n ", "x" * 300_000])
def test_an_empty_or_endless_text_is_refused_in_three_parts(app, ended, facts, text):
    at = app("try_it", run=ended.done[0])
    at.text_area(key="try_text").set_value(text).run()
    at.button(key="try_go").click().run()
    assert not at.exception
    assert len(at.error) == 1 and ("nothing to try" in at.error[0].value or "300,000" in at.error[0].value)


def test_the_run_page_leads_here(app, ended, facts):
    at = app("run", run=ended.done[0])
    assert any("Try it" in str(link.proto) for link in at.get("page_link"))
    assert not any("Try it on" in str(link.proto) for link in app("run", run=ended.failed).get("page_link"))


def test_other_runs_of_the_task_are_offered_and_those_of_other_workspaces_refused(settings, ended, facts):
    thaw = Thaw(settings)
    offered = thaw.playground.sides(WORKSPACE, ended.done[0])
    assert [side.side.which for side in offered] == [Which.BASE, Which.FOUR_BIT, Which.FINAL, Which.FINAL]
    assert {side.side.run for side in offered if side.side.which is Which.FINAL} == set(ended.done)
    assert offered[0].reason and offered[1].reason  # these runs kept no head for the base model
    with pytest.raises(Exception, match="another workspace"):
        thaw.playground.ask("another-workspace", [offered[2].side], visitor="v", texts=["x"])
