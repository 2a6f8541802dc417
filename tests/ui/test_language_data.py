"""Data for language models on the pages: forms of a file, passages, conversations as people read them."""

from __future__ import annotations

import json

import pytest

from core.api import Thaw
from core.domain.dataset import Role, Shape, Split, Task
from tests.conftest import WORKSPACE, write_language_dataset
from tests.ui.conftest import shown
from tests.ui.test_data import opened, upload

PAIRS = "".join(json.dumps({"prompt": f"Say number {i} in words", "response": f"It is number {i}, said so"}) + "\n"
                for i in range(40)).encode()


def form(at):
    return next(control for control in at.segmented_control if str(control.key).startswith("form_"))


def roles(at):
    return {str(box.key).rpartition("_")[2]: str(box.value) for box in at.selectbox if str(box.key).startswith("role_")}


def test_prompts_and_responses_become_conversations(app, settings):
    at = upload(app("data"), ("pairs.jsonl", PAIRS))
    form(at).set_value("Prompt and response").run()
    at.selectbox(key=role_key(at, "prompt")).set_value(Role.PROMPT)
    at.selectbox(key=role_key(at, "response")).set_value(Role.RESPONSE).run()
    at = opened(at.button(key="import").click().run(), settings)
    assert not at.exception and not at.error, [e.value for e in at.error]
    (dataset,) = Thaw(settings).data.all(WORKSPACE)
    assert dataset.task is Task.LANGUAGE_MODELLING and dataset.shape is Shape.CHAT
    page = app("dataset", dataset=dataset.id)
    assert not page.exception
    assert "conversations for language models" in shown(page) and "0 classes" not in shown(page)
    assert "Rows by class" not in shown(page)
    (rows,) = [frame.value for frame in page.dataframe if "Text" in frame.value]
    assert list(rows.columns) == ["Row", "Text"]
    assert rows["Text"][0].startswith("User: Say number")


def role_key(at, column):
    return next(box.key for box in at.selectbox if str(box.key).startswith("role_") and box.key.endswith(f"_{column}"))


def test_another_form_gives_the_columns_other_roles(app):
    data = "text,label\n" + "".join(f"row number {i} says something of its own,{'ab'[i % 2]}\n" for i in range(60))
    at = upload(app("data"), ("mine.csv", data.encode()))
    assert form(at).value == "Texts with a class each" and roles(at) == {"text": "text", "label": "label"}
    form(at).set_value("Plain text").run()
    assert roles(at) == {"text": "text", "label": "ignore"}
    assert "It looks more like texts with a class each." in shown(at)
    form(at).set_value("Prompt and response").run()
    assert roles(at) == {"text": "prompt", "label": "response"}
    at.selectbox(key=role_key(at, "label")).set_value(Role.IGNORE).run()
    at.button(key="import").click().run()
    assert "No column is marked as response" in at.error[0].value


def test_texts_are_cut_into_passages_of_the_length_that_is_said(app, settings):
    words = " ".join(f"word{i}" for i in range(300))
    data = "text\n" + "".join(f'"{words} {n}."\n' for n in range(10))
    at = upload(app("data"), ("tales.csv", data.encode()))
    form(at).set_value("Plain text").run()
    length = next(box for box in at.number_input if str(box.key).startswith("passage_"))
    assert length.value == 220
    length.set_value(100).run()
    at = opened(at.button(key="import").click().run(), settings)
    assert not at.exception and not at.error, [e.value for e in at.error]
    (dataset,) = Thaw(settings).data.all(WORKSPACE)
    assert dataset.shape is Shape.TEXT and dataset.groups == 10 and dataset.rows_kept > 30
    page = app("data")
    assert f"{dataset.rows_kept} passages of 10 documents" in shown(page)


@pytest.mark.parametrize("chat", [False, True])
def test_a_language_set_on_its_page(app, settings, chat):
    dataset = write_language_dataset(settings, n_rows=24, shift_rows=4, chat=chat)
    at = app("dataset", dataset=dataset.id)
    assert not at.exception and not at.error
    text = shown(at)
    assert ("conversations for language models, every answer one of 3" if chat else
            "passages for language models of 7 documents") in text
    assert dataset.rows(Split.SHIFT) == 4 and "4 rows. Every run on this dataset is judged on them" in text
    at.text_input(key="rows_search").set_value("a").run()
    assert not at.exception and "****" not in shown(at)


OPENAI = "".join(json.dumps({"messages": [{"role": "user", "content": f"Number {i}?"},
                                          {"role": "assistant", "content": f"It is {i}."}]}) + "\n"
                 for i in range(40)).encode()
SHAREGPT = json.dumps([{"conversations": [{"from": "human", "value": f"Number {i}?"},
                                          {"from": "gpt", "value": f"It is {i}."}]} for i in range(40)]).encode()
ALPACA = json.dumps([{"instruction": f"Say {i}", "input": "in words", "output": f"It is number {i}."}
                     for i in range(40)]).encode()
LINES = "".join(f"There was once a tale number {i} and it was told.\n" for i in range(80)).encode()


@pytest.mark.parametrize(("name", "data", "label", "why"), [
    ("a.jsonl", OPENAI, "Conversations", "OpenAI's messages"), ("b.json", SHAREGPT, "Conversations", "ShareGPT"),
    ("c.json", ALPACA, "Prompt and response", "Alpaca"), ("d.jsonl", PAIRS, "Prompt and response", "a prompt and its"),
    ("e.txt", LINES, "Plain text", "")])
def test_the_form_of_a_file_is_seen_with_its_reason_and_imported_as_it_is(app, settings, name, data, label, why):
    at = upload(app("data"), (name, data))
    assert not at.exception and not at.error, [e.value for e in at.error]
    assert form(at).value == label
    assert why in shown(at)
    at = opened(at.button(key="import").click().run(), settings)
    assert not at.exception and not at.error, [e.value for e in at.error]
    (dataset,) = Thaw(settings).data.all(WORKSPACE)
    assert not dataset.task.labelled and dataset.rows_kept > 2


def test_lines_of_a_text_file_may_be_texts_of_their_own(app, settings):
    at = upload(app("data"), ("e.txt", LINES))
    next(box for box in at.checkbox if str(box.key).startswith("lines_")).check().run()
    at = opened(at.button(key="import").click().run(), settings)
    assert Thaw(settings).data.all(WORKSPACE)[0].rows_kept == 80
