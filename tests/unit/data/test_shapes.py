"""Shapes of files for language models: seen with evidence, rows with faults left out with number and reason."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.data import conversations, shapes, tables
from core.data.check import Examined, Options, examine, examine_file
from core.data.conversations import Turn
from core.data.forms import Form, Wanted
from core.domain.dataset import Content, Role, Shape, Task
from core.errors import DataError
from core.settings import Settings

File = Callable[[str, str | bytes], Path]
LANGUAGE, LABELLED = Task.on(Content.TEXT, labelled=False), Task.on(Content.TEXT)
SAID = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
GPT = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]
HI = (Turn("user", "hi"), Turn("assistant", "hello"))


def lines(rows: list[Any]) -> str:
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)


@pytest.fixture
def look(file: File, settings: Settings) -> Callable[..., Examined]:
    def run(name: str, content: str | bytes, *, options: Options | None = None, **wanted: Any) -> Examined:
        return examine_file(file(name, content), wanted=Wanted(**wanted), settings=settings, options=options)

    return run


def turns(found: Examined) -> list[tuple[Turn, ...]]:
    return [conversations.load(text) for text in found.rows.text.to_pylist()]


def parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


@pytest.mark.parametrize(("name", "content"), [
    ("a.jsonl", lines([{"messages": SAID}] * 3)),
    ("a.jsonl", "\ufeff" + lines([{"id": i, "weight": 1.0, "name": "x", "messages": SAID} for i in range(3)])),
    ("a.json", json.dumps([{"messages": SAID}] * 3)),
    ("a.json", json.dumps([SAID] * 3)),
    ("a.jsonl", lines([SAID] * 3)),
    ("a.json", json.dumps({"data": [{"conversation": {"messages": SAID}, "id": i} for i in range(3)]})),
    ("a.jsonl", lines([{"conversation": {"messages": SAID}}] * 3)),
    ("a.jsonl", lines([{"messages": json.dumps(SAID)}] * 3)),
    ("a.parquet", parquet([{"messages": SAID}] * 3)),
    ("a.csv", "talk\n" + f'"{SAID!s}"\n' * 3),
    ("a.jsonl", lines([{"conversations": GPT, "id": i} for i in range(3)])),
    ("a.parquet", parquet([{"conversations": GPT}] * 3)),
    ("a.csv", "prompt,completion\n" + "hi,hello\n" * 3),
    ("a.csv", "question,answer\n" + "hi,hello\n" * 3),
    ("a.jsonl", lines([{"input": "hi", "output": "hello"}] * 3)),
    ("a.json", json.dumps([{"instruction": "hi", "input": "", "output": "hello"}] * 3)),
    ("a.jsonl", lines([{"prompt": SAID[:1], "completion": SAID[1:]}] * 3)),
])
def test_conversations_in_every_dress(look: Callable[..., Examined], name: str, content: str | bytes) -> None:
    found = look(name, content)
    assert turns(found) == [HI] * 3 and found.rows.shape is Shape.CHAT
    assert (found.report.rows_read, found.report.shape, found.report.classes) == (3, "chat", {})
    assert found.report.shape_evidence


@pytest.mark.parametrize(("turned", "reason"), [
    (SAID[:1], "it ends without an answer"),
    ([*SAID, SAID[0]], "it ends without an answer"),
    (SAID[1:], "it begins with an answer, to no question"),
    ([SAID[0], *SAID], "turns 1 and 2 are both of the user"),
    ([*SAID, SAID[1]], "turns 2 and 3 are both of the assistant"),
    ([{"role": "narrator", "content": "x"}, *SAID], "turn 1 has the role 'narrator'"),
    ([{"role": "user", "content": ""}, SAID[1]], "turn 1 (user) is empty"),
    ([SAID[0], {"role": "assistant", "content": None}], "turn 2 (assistant) is empty"),
    ([*SAID, {"role": "system", "content": "be kind"}, *SAID], "turn 3 is a system message"),
    ([SAID[0], {"role": "assistant", "content": None, "tool_calls": [{"id": 1}]}], "turn 2 calls a tool"),
    ([SAID[0], {"role": "tool", "content": "42"}, SAID[1]], "turn 2 is of a tool"),
    ([SAID[0], {"role": "assistant", "content": [{"type": "image_url", "image_url": "x"}]}], "a part of the kind"),
    ([SAID[0], {"role": "assistant", "content": {"a": 1}}], "the content of turn 2 is an object"),
    ([SAID[0], "hello"], "turn 2 is a text"),
    ([SAID[0], {"role": None, "content": "x"}], "turn 2 has no role"),
    ([], "has no turns"), (None, "has no conversation"), ("[{", "not valid JSON"), (7, "not a list of turns"),
])
def test_broken_conversations_are_left_out_with_row_and_reason(look: Callable[..., Examined], turned: Any,
                                                               reason: str) -> None:
    found = look("a.jsonl", lines([{"messages": SAID}, {"messages": turned}, {"messages": SAID}, {"messages": SAID}]))
    assert [item.row for item in found.report.left_out] == [2] and reason in found.report.left_out[0].reason
    assert found.report.rows_read == 4 and found.rows.row_id.tolist() == [1, 3, 4]


@pytest.mark.parametrize(("turned", "kept"), [
    ([{"role": "system", "content": " "}, *SAID], HI),
    ([{"role": "developer", "content": "be kind"}, *SAID], (Turn("system", "be kind"), *HI)),
    ([{"role": "user", "content": 42}, {"role": "assistant", "content": 1.5}],
     (Turn("user", "42"), Turn("assistant", "1.5"))),
    ([SAID[0], {"role": "assistant", "content": [{"type": "text", "text": "hel"}, "lo"], "tool_calls": None}], HI),
    ([{"role": " User ", "content": "hi", "name": "x"}, {"role": "ASSISTANT", "content": "hello", "weight": 1}], HI),
    ([*SAID, *SAID], (*HI, *HI)),
])
def test_what_can_be_read_is_kept(look: Callable[..., Examined], turned: Any, kept: tuple[Turn, ...]) -> None:
    assert turns(look("a.jsonl", lines([{"messages": turned}, {"messages": SAID}])))[0] == kept


def test_weights_are_not_looked_at_and_that_is_said(look: Callable[..., Examined]) -> None:
    found = look("a.jsonl", lines([{"messages": [SAID[0], {**SAID[1], "weight": 0}]}, *[{"messages": SAID}] * 3]))
    assert next(f.rows for f in found.findings if f.code == "turn-weights") == (1,) and len(found.rows) == 4


def test_several_shapes_in_one_file(look: Callable[..., Examined]) -> None:
    rows = [{"messages": SAID}, {"conversations": GPT}, {"prompt": "hi", "completion": "hello"}, {"text": "alone"},
            {"messages": SAID}, "not JSON", {}]
    found = look("a.jsonl", lines(rows))
    assert turns(found) == [HI] * 4 and found.rows.row_id.tolist() == [1, 2, 3, 5]
    assert [item.row for item in found.report.left_out] == [4, 6, 7]


def test_alpaca_joins_what_goes_on_and_leaves_out_what_is_empty(look: Callable[..., Examined]) -> None:
    rows = [{"instruction": "add", "input": "1 + 1", "output": 2}, {"instruction": "sing", "input": "", "output": "la"},
            {"instruction": "", "input": "", "output": "x"}, {"instruction": "say", "output": None}]
    found = look("a.json", json.dumps(rows))
    assert turns(found)[0] == (Turn("user", "add\n\n1 + 1"), Turn("assistant", "2")) and len(found.rows) == 2
    assert [(i.row, i.reason) for i in found.report.left_out] == [(3, "the prompt is empty"),
                                                                  (4, "the response is empty")]


@pytest.mark.parametrize(("columns", "wanted", "form"), [
    ("text,label", {}, None), ("text,label", {"task": LANGUAGE}, Form.TEXT),
    ("question,answer", {}, Form.PROMPTS), ("question,answer", {"task": LABELLED}, None),
    ("question,answer", {"columns": {Role.TEXT: "question", Role.LABEL: "answer"}}, None),
    ("question,answer", {"form": "text", "columns": {Role.TEXT: "question"}}, Form.TEXT),
    ("here,there", {"columns": {Role.PROMPT: "here", Role.RESPONSE: "there"}}, Form.PROMPTS),
])
def test_what_rows_are_is_seen_and_can_be_said(file: File, settings: Settings, columns: str, wanted: dict[str, Any],
                                               form: Form | None) -> None:
    path = file("t.csv", f"{columns}\n" + "".join(f"is {i} an even number?,{'yes no'.split()[i % 2]}\n"
                                                  for i in range(20)))
    chosen = shapes.choose(tables.read(path, settings=settings), Wanted(**wanted))
    assert chosen.form is form
    assert (Role.LABEL in chosen.roles.values()) == (form is None)


def test_an_empty_label_column_is_no_set_without_labels(look: Callable[..., Examined]) -> None:
    with pytest.raises(DataError, match="looks like the label"):
        look("t.csv", "text,label\n" + "some words,\n" * 20)
    assert len(look("t.csv", "text,label\n" + "some words,\n" * 20, task=LANGUAGE).rows) == 20


def test_texts_become_passages_and_no_split_cuts_one(look: Callable[..., Examined]) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as bundle:
        for i in range(5):
            bundle.writestr(f"books/{i}.txt", "\n\n".join(f"Part {p} of book {i}. " + "It rained. " * (20 + i)
                                                          for p in range(12)))
        bundle.writestr("books/empty.txt", " \n")
    found = look("books.zip", sink.getvalue())
    assert (found.report.rows_read, found.report.rows_kept, found.report.groups) == (6, 5, 5)
    assert [item.file for item in found.report.left_out] == ["books/empty.txt"] or found.report.left_out
    assert found.report.passages == len(found.rows) >= 20
    assert {len({found.split[i] for i in range(len(found.rows)) if found.rows.group[i] == g}) for g in range(5)} == {1}
    assert set(found.split) == {"train", "validation", "test"}
    assert any("5 documents became" in f.message for f in found.findings)


def test_one_text_is_split_in_its_order(look: Callable[..., Examined]) -> None:
    book = "\n\n".join(f"Chapter {i}. " + f"The number {i} was here and there. " * 20 for i in range(30))
    found = look("book.txt", book)
    assert list(dict.fromkeys(found.split)) == ["train", "validation", "test"]
    assert "few-documents" in {finding.code for finding in found.findings}
    assert len(look("book.txt", book, options=Options(by_line=True)).rows) == 30


def test_checks_of_conversations(file: File, settings: Settings) -> None:
    rows = [{"prompt": f"what is {i % 12}?", "response": str(i), "split": ("train", "train", "test")[i // 12]}
            for i in range(36)]
    rows[0]["response"] = "[INST] 0 <|im_end|>"
    table = tables.read(file("a.jsonl", lines(rows)), settings=settings)
    found = examine(table, roles=shapes.choose(table).roles, settings=settings)
    by_code = {finding.code: finding for finding in found.findings}
    # the split column has no validation rows: Thaw takes them from the training rows, prompts together
    assert by_code["prompt-leakage"].count == 12 and by_code["prompt-with-answers"].count == 36
    assert by_code["template-text"].rows == (1,)
    assert not {"one-class", "imbalance", "label-spelling", "untrained-classes"} & set(by_code)


def test_closed_answers_are_kept_as_facts(look: Callable[..., Examined]) -> None:
    found = look("a.csv", "question,answer\n" + "".join(f"is {i} even?,{'yes no'.split()[i % 2]}\n" for i in range(40)))
    assert found.report.answers == ("no", "yes") and "closed-answers" in {f.code for f in found.findings}
    assert look("a.csv", "question,answer\n" + "".join(f"after {i}?,{i + 1}\n" for i in range(40))).report.answers == ()


def test_languages_are_told_apart(look: Callable[..., Examined]) -> None:
    english = "The man and his dog were on the way to the house that they had for the winter, number {}."
    german = "Der Mann und sein Hund waren auf dem Weg in das Haus, das sie für den Winter nicht hatten, Nummer {}."
    rows = [{"text": (german if i % 5 == 0 else english).format(i)} for i in range(40)]
    found = next(f for f in look("a.jsonl", lines(rows)).findings if f.code == "mixed-languages")
    assert found.rows == tuple(range(1, 41, 5)) and "English 80%" in found.message


def test_a_split_column_does_not_part_a_group(look: Callable[..., Examined]) -> None:
    rows = [{"text": f"line {i} of a play", "play": "abcdef"[i % 6], "split": "train" if i % 7 else "test"}
            for i in range(42)]
    found = look("a.jsonl", lines([*rows, *[{"text": f"other {i}", "play": "z", "split": "test"} for i in range(5)]]),
                 columns={Role.GROUP: "play"})
    groups = {group: {split for split, own in zip(found.split, found.rows.group, strict=True) if own == group}
              for group in set(found.rows.group.tolist())}
    assert all(len(splits) == 1 for splits in groups.values())
    assert next(f.count for f in found.findings if f.code == "parted-groups") == 6
