"""Talk that is written into texts, and sets of dialogues in the form in which they are downloaded: made-up rows in the
real layouts, whole and damaged."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.data import conversations, first_rows, new_rows, tables
from core.data.check import Examined, examine_file
from core.data.forms import Wanted
from core.data.readers import exchanges, marked_turns, python_values
from core.domain.dataset import Role, Shape, Task
from core.errors import DataError
from core.settings import Settings
from tests.data_files import counted

File = Callable[[str, str | bytes], Path]
Said = list[tuple[str, str]]
N = 24
KIND, BELOW = "Be kind.", "Below is an instruction that describes a task. Write a response that completes the request."


def q(i: int, k: int = 0) -> str:
    return f"Who saw the comet of {1800 + i} from the hill {k}?"


def a(i: int, k: int = 0) -> str:
    return f"The keeper {k} of the {('north', 'south', 'west')[i % 3]} tower wrote about it in letter {i}."


def asked(*said: str, system: str = "") -> Said:
    return [*([("system", system)] if system else []),
            *((("user", "assistant")[place % 2], text) for place, text in enumerate(said))]


def two(i: int) -> Said:
    return asked(q(i), a(i), q(i, 1), a(i, 1))


def lines(rows: Any) -> str:
    return "\n".join(map(json.dumps, rows))


def turns(found: Examined) -> list[Said]:
    assert found.rows.shape is Shape.CHAT
    return [[(turn.role, turn.content) for turn in conversations.load(text)] for text in found.rows.text.to_pylist()]


def codes(found: Examined) -> dict[str, int]:
    return {finding.code: finding.count for finding in found.findings}


def reasons(found: Examined) -> list[tuple[int, str]]:
    return [(item.row, item.reason) for item in found.report.left_out]


MARKED: dict[str, tuple[Callable[[int], str], Callable[[int], Said]]] = {
    "hh-rlhf": (lambda i: f"\n\nHuman: {q(i)}\n\nAssistant: {a(i)}\n\nHuman: {q(i, 1)}\n\nAssistant: {a(i, 1)}", two),
    "lines": (lambda i: f"Human: {q(i)}\nAssistant: {a(i)}\n\nHuman: {q(i, 1)}\nAI: no mark\nAssistant: {a(i, 1)}",
              lambda i: asked(q(i), a(i), f"{q(i, 1)}\nAI: no mark", a(i, 1))),
    "both": (lambda i: f"Human: {q(i)}\nAssistant: {a(i)}\n\nHuman: {q(i, 1)}\n\nAssistant: {a(i, 1)}", two),
    "no-system": (lambda i: f"Human: {q(i)}\n\nSystem: of two\n\nAssistant: {a(i)}",
                  lambda i: asked(f"{q(i)}\n\nSystem: of two", a(i))),
    "user": (lambda i: f"System: {KIND}\r\n\r\nUser: {q(i)}\r\n\r\nBot: {a(i)}",
             lambda i: asked(q(i), a(i), system=KIND)),
    "alpaca": (lambda i: f"{BELOW}\n\n### Instruction:\n{q(i)}\n\n### Input:\nLetter {i}.\n\n### Response:\n{a(i)}</s>",
               lambda i: asked(f"{q(i)}\n\nLetter {i}.", a(i), system=BELOW)),
    "headline": (lambda i: f"### Instruction:\n{q(i)}\n\n### Response:\n{a(i)}\n### Input:\nnone\n### Output:\nnone",
                 lambda i: asked(q(i), f"{a(i)}\n### Input:\nnone\n### Output:\nnone")),
    "orca-mini": (lambda i: f"### System:\n{KIND}\n\n### User:\n{q(i)}\n\n### Response:\n{a(i)}",
                  lambda i: asked(q(i), a(i), system=KIND)),
    "guanaco": (lambda i: f"### Human: {q(i)}### Assistant: {a(i)}### Human: {q(i, 1)}### Assistant: {a(i, 1)}", two),
    "llama-2": (lambda i: f"<s>[INST] {q(i)} [/INST] {a(i)} </s><s>[INST] {q(i, 1)} [/INST] {a(i, 1)} </s>", two),
    "llama-3": (lambda i: "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
                          f"<|start_header_id|>user<|end_header_id|>\n\n{q(i)}<|eot_id|><|start_header_id|>assistant"
                          f"<|end_header_id|>\n\n{a(i)}<|eot_id|>", lambda i: asked(q(i), a(i), system=KIND)),
    "chatml": (lambda i: f"<|im_start|>user\n{q(i)}<|im_end|>\n<|im_start|>assistant\n{a(i)}<|im_end|>\n",
               lambda i: asked(q(i), a(i))),
    "gemma": (lambda i: f"<bos><start_of_turn>user\n{q(i)}<end_of_turn>\n<start_of_turn>model\n{a(i)}<end_of_turn>\n",
              lambda i: asked(q(i), a(i))),
    "zephyr": (lambda i: f"<|system|>\n{KIND}</s>\n<|user|>\n{q(i)}</s>\n<|assistant|>\n{a(i)}</s>",
               lambda i: asked(q(i), a(i), system=KIND)),
    "oasst": (lambda i: f"<|prompter|>{q(i)}<|endoftext|><|assistant|>{a(i)}<|endoftext|>",
              lambda i: asked(q(i), a(i))),
    "vicuna": (lambda i: f"A chat of two. USER: {q(i)} ASSISTANT: {a(i)}</s>USER: {q(i, 1)} ASSISTANT: {a(i, 1)}</s>",
               lambda i: asked(q(i), a(i), q(i, 1), a(i, 1), system="A chat of two.")),
    "oig": (lambda i: f"<human>: {q(i)}\n<bot>: {a(i)}\n<human>: {q(i, 1)}\n<bot>: {a(i, 1)}", two),
    "moss-2": (lambda i: f"[Human]: {q(i)}<eoh> [MOSS]: {a(i)}<eoa> [Human]: {q(i, 1)}<eoh> [MOSS]: {a(i, 1)}<eoa>",
               two)}


@pytest.mark.parametrize("kind", MARKED)
@pytest.mark.parametrize("name", ["t.jsonl", "t.csv", "t.parquet", "t.xlsx"])
def test_marks_in_a_text_are_turns(kind: str, name: str, file: File, settings: Settings) -> None:
    text, said = MARKED[kind]
    sink, frame = io.BytesIO(), pd.DataFrame({"text": [text(i) for i in range(N)]})
    content: str | bytes = frame.to_json(orient="records", lines=True)
    if name != "t.jsonl":
        options = {} if name.endswith("parquet") else {"index": False}
        getattr(frame, {"t.csv": "to_csv", "t.xlsx": "to_excel", "t.parquet": "to_parquet"}[name])(sink, **options)
        content = sink.getvalue()
    path = file(name, content)
    found = examine_file(path, settings=settings)
    assert turns(found) == [said(i) for i in range(N)]
    assert codes(found)["marks-read"] == N and not found.report.left_out
    assert first_rows.read(path, settings=settings).table.columns == tables.read(path, settings=settings).columns


def test_the_texts_can_be_learned_as_they_are(file: File, settings: Settings) -> None:
    path = file("t.csv", pd.DataFrame({"text": [MARKED["lines"][0](i) for i in range(N)]}).to_csv(index=False))
    found = examine_file(path, wanted=Wanted(form="text"), settings=settings)
    assert found.rows.text.to_pylist() == [MARKED["lines"][0](i) for i in range(N)]
    new = new_rows.read(path, task=Task.TEXT_CLASSIFICATION, source=None, text="text", settings=settings)
    assert len(new.content) == N


def test_of_preferences_the_chosen_side_is_learned(file: File, settings: Settings) -> None:
    """Anthropic's HH-RLHF: one row damaged, one without marks, one whose cell is a number, one cut off."""
    rows: list[Any] = [{"chosen": MARKED["hh-rlhf"][0](i), "rejected": f"\n\nHuman: {q(i)}\n\nAssistant: No."}
                       for i in range(N)]
    rows[3], rows[4] = {**rows[3], "chosen": "Human: and nobody answers"}, {**rows[4], "chosen": 7}
    found = examine_file(file("t.jsonl", lines(rows) + '\n{"chosen": "\\n\\nHuman: wh'), settings=settings)
    assert turns(found) == [two(i) for i in range(N) if i not in (3, 4)] and codes(found)["rejected-not-read"] == 1
    assert [row for row, _ in reasons(found)] == [4, 5, N + 1]
    assert reasons(found)[0][1] == "its text is not marked from beginning to end with who speaks, as the other rows are"


@pytest.mark.parametrize(("prompt", "response"), [("prompt", "completion"), ("instruction", "output"),
                                                  ("prompt", "chosen")])
def test_marks_in_a_prompt_that_its_response_goes_on_with(prompt: str, response: str, file: File,
                                                          settings: Settings) -> None:
    """BELLE's talk of several turns, and what trainers of preferences make of HH-RLHF."""
    rows = [{prompt: f"Human: {q(i)}\n\nAssistant: {a(i)}\n\nHuman: {q(i, 1)}\n\nAssistant:", response: f" {a(i, 1)}",
             "rejected": " No."} for i in range(N)]
    assert turns(examine_file(file("t.jsonl", lines(rows)), settings=settings)) == [two(i) for i in range(N)]


def test_calls_of_functions_are_left_out(file: File, settings: Settings) -> None:
    """Glaive: what the system says is in a column of its own."""
    rows = [{"system": f"SYSTEM: {KIND}", "chat": f"USER: {q(i)}\n\n\nASSISTANT: {a(i)} <|endoftext|>\n\n\n" + (
        'FUNCTION RESPONSE: {"a": 1}\n\n\nASSISTANT: Yes. <|endoftext|>\n\n\n' if i == 5 else "")} for i in range(N)]
    found = examine_file(file("t.jsonl", lines(rows)), settings=settings)
    assert turns(found) == [asked(q(i), a(i), system=KIND) for i in range(N) if i != 5]
    assert reasons(found) == [(6, "turn 4 is of a tool ('function_response'); calls of tools are not learned")]


def test_a_conversation_a_line(file: File, settings: Settings) -> None:
    text = "".join(f"{MARKED['guanaco'][0](i)}\n" for i in range(N))
    assert turns(examine_file(file("t.txt", text), settings=settings)) == [two(i) for i in range(N)]


@pytest.mark.parametrize("text", [
    lambda i: f"ROMEO: {q(i)}\nJULIET: {a(i)}", lambda i: f"# Notes {i}\n\nUser: ann\n\n{a(i)}",
    lambda i: f"{a(i)} He said: Human: {q(i)} Assistant: no.", lambda i: f"Assistant: {a(i)}\n\nHuman: {q(i)}",
    lambda i: f"Question: {q(i)}\nAnswer: {a(i)}", lambda i: f"Human: {q(i)}" if i % 3 else MARKED["lines"][0](i),
    lambda i: f"{a(i)}\n\n{a(i)}\n\n### Instruction:\n{q(i)}\n\n### Response:\n{a(i)}"],
    ids=["play", "notes", "inside", "answers-first", "questions", "a-third", "long-beginning"])
def test_what_resembles_marked_talk_stays_text(text: Callable[[int], str], file: File, settings: Settings) -> None:
    found = examine_file(file("t.jsonl", lines({"text": text(i)} for i in range(N))), settings=settings)
    assert found.rows.shape is Shape.TEXT and found.rows.text.to_pylist() == [text(i) for i in range(N)]


@pytest.mark.parametrize("column", ["intent", "toxic"])
def test_marked_talk_with_a_class_is_labelled_text(column: str, file: File, settings: Settings) -> None:
    frame = pd.DataFrame({"text": [MARKED["lines"][0](i) for i in range(N)], column: [i % 2 for i in range(N)]})
    found = examine_file(file("t.csv", frame.to_csv(index=False)), settings=settings)
    assert found.rows.shape is None and found.report.classes == {"0": N // 2, "1": N // 2}


def test_marks_of_the_ends_of_prompts_are_taken_off(file: File, settings: Settings) -> None:
    """OpenAI's first fine-tuning; an arrow in one of many rows is no such mark."""
    rows = [{"prompt": f"{q(i)}\n\n###\n\n", "completion": f" {a(i)} END"} for i in range(N)]
    found = examine_file(file("t.jsonl", lines(rows)), settings=settings)
    assert turns(found) == [asked(q(i), a(i)) for i in range(N)] and codes(found)["ends-taken-off"] == N
    few = [{"prompt": f"{q(i)} ->" if i < 5 else q(i), "completion": f" {a(i)}"} for i in range(N)]
    assert turns(examine_file(file("few.jsonl", lines(few)), settings=settings))[0][0] == ("user", f"{q(0)} ->")


@pytest.mark.parametrize("text", [
    "\n" * 200_000 + ":", "a:\n\n" * 50_000, "#" * 200_000 + "x: ###", "### Human:" * 20_000 + "### Assistant:",
    "<|user|>" * 20_000, "USER: ASSISTANT: " * 10_000, "[INST]" * 30_000, "Human: " + "\n\n \n" * 50_000])
@pytest.mark.timeout(20)
def test_texts_made_to_be_slow(text: str) -> None:
    found = marked_turns.turns_of(text)
    assert found is None or {turn["role"] for turn in found} <= {"user", "assistant", "system"}
    row, reason = marked_turns.without_ends({"prompt": f"{text}###", "completion": f" {text}"}, marked_turns.Told())
    assert row is not None and not reason


# -- other ways to hold a dialogue -------------------------------------------------------------------------------------

MOSS = {"Inner Thoughts": "<|Inner Thoughts|>: None<eot>\n", "Commands": "<|Commands|>: None<eoc>\n",
        "Tool Responses": "<|Results|>: None<eor>\n"}


def moss(i: int, **changed: str) -> dict[str, Any]:
    return {f"turn_{k + 1}": {"Human": f"<|Human|>: {q(i, k)}<eoh>\n", **MOSS, **changed,
                              "MOSS": f"<|MOSS|>: {a(i, k)}<eom>\n"} for k in range(2)}


OTHERS: dict[str, tuple[Callable[[int], dict[str, Any]], Callable[[int], Said]]] = {
    "coqa": (lambda i: {"story": f"Letter {i}.", "questions": [{"input_text": q(i, k), "turn_id": k} for k in range(2)],
                        "answers": [{"input_text": a(i, k), "span_text": "x"} for k in range(2)], "id": f"c{i}"},
             lambda i: asked(f"{q(i)}\n\nLetter {i}.", a(i), q(i, 1), a(i, 1))),
    "coqa-of-the-hub": (
        lambda i: {"source": "cnn", "story": f"Letter {i}.", "questions": [q(i), q(i, 1)],
                   "answers": {"input_text": [a(i), a(i, 1)], "answer_start": [1, 2], "answer_end": [2, 3]}},
        lambda i: asked(f"{q(i)}\n\nLetter {i}.", a(i), q(i, 1), a(i, 1))),
    "personachat": (
        lambda i: {"personality": [f"i see comet {i} ."], "utterances": [
            {"history": [q(i)], "candidates": ["no .", a(i)]},
            {"history": [q(i), a(i), q(i, 1)], "candidates": ["yes .", a(i, 1)]}]},
        lambda i: asked(q(i), a(i), q(i, 1), a(i, 1), system=f"i see comet {i} .")),
    "moss-3": (lambda i: {"conversation_id": i, "meta_instruction": KIND, "num_turns": 2, "chat": moss(i),
                          "type": "Writing"}, lambda i: asked(*(text for _, text in two(i)), system=KIND)),
    "capybara": (lambda i: {"source": "x", "conversation": [{"input": q(i), "output": a(i)},
                                                            {"input": q(i, 1), "output": a(i, 1)}]}, two)}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("name", ["t.jsonl", "t.parquet"])
def test_dialogues_as_they_are_published(kind: str, name: str, file: File, settings: Settings) -> None:
    row, said = OTHERS[kind]
    rows, sink = [row(i) for i in range(N)], io.BytesIO()
    pd.DataFrame(rows).to_parquet(sink)
    found = examine_file(file(name, lines(rows) if name.endswith("l") else sink.getvalue()), settings=settings)
    assert turns(found) == [said(i) for i in range(N)] and not found.report.left_out


def test_documents_of_dialogues(file: File, settings: Settings) -> None:
    """PersonaChat has a list a split, CoQA one part with the rows; tools and unequal lists cost their row."""
    persona = {split: [OTHERS["personachat"][0](i + start) for i in range(12)]
               for split, start in (("train", 0), ("valid", 12))}
    found = examine_file(file("personachat.json", json.dumps(persona)), settings=settings)
    assert turns(found) == [OTHERS["personachat"][1](i) for i in range(N)]
    assert set(found.rows.split or ()) == {"train", "validation"} and codes(found)["other-answers"] == 2 * N
    rows = [OTHERS["coqa"][0](i) for i in range(N)]
    rows[2]["answers"].pop()
    found = examine_file(file("coqa.json", json.dumps({"version": "1.0", "data": rows})), settings=settings)
    assert reasons(found) == [(3, "its questions and answers are not lists of texts that are equally long")]
    call = {"Commands": '<|Commands|>: Search("x")<eoc>\n'}
    talks = [{"chat": moss(i, **(call if i == 2 else {}))} for i in range(N)]
    found = examine_file(file("moss.jsonl", lines(talks)), settings=settings)
    assert reasons(found) == [(3, "it calls a tool, or thinks; neither is learned")] and len(found.rows) == N - 1


_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.floats() | st.sampled_from(["", "a", "Human: a", q(1)]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["text", "input", "output", "Human", "MOSS", "turn_1", "input_text", "history", "candidates"]),
        inner, max_size=4), max_leaves=8)
_ROWS: dict[str, Callable[[int], dict[str, Any]]] = {
    **{kind: row for kind, (row, _) in OTHERS.items()}, "hh": lambda i: {"chosen": MARKED["hh-rlhf"][0](i)},
    "ends": lambda i: {"prompt": f"{q(i)} ->", "completion": f" {a(i)}"},
    "pair": lambda i: {"prompt": f"Human: {q(i)}\n\nAssistant:", "response": a(i), "system": f"SYSTEM: {KIND}"}}


@hypothesis_settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(list(_ROWS)), st.integers(0, 30), _VALUE)
def test_no_value_breaks_the_reading(kind: str, at: int, value: Any) -> None:
    rows = [_ROWS[kind](i) for i in range(4)]
    changed = list(rows[3])[at % len(rows[3])]
    read = list(exchanges.rearranged((row, "") for row in [*rows[:3], {**rows[3], changed: value}]).items)
    assert read[:3] == list(exchanges.rearranged((row, "") for row in rows).items)[:3]
    assert len(read) == 4 and all(problem or isinstance(item, dict) for item, problem in read)


# -- lists and objects in the cells of tables --------------------------------------------------------------------------


@pytest.mark.parametrize("written", [
    lambda found: {"text": found, "answer_start": [3] * len(found)},
    lambda found: {"text": np.array(found, dtype=object), "answer_start": np.array([3] * len(found), dtype=np.int32)},
    lambda found: json.dumps({"text": found, "answer_start": [3] * len(found)})], ids=["python", "numpy", "json"])
def test_answers_in_a_cell(written: Callable[[list[str]], Any], file: File, settings: Settings) -> None:
    """SQuAD as a table: the first answer is learned, a question without one is left out with its number."""
    frame = pd.DataFrame({"id": [f"{i:024}" for i in range(N)], "title": [f"Comets {i // 4}" for i in range(N)],
                          "context": [f"Letter {i}." for i in range(N)], "question": [q(i) for i in range(N)],
                          "answers": [written([a(i), a(i, 1)] if i != 7 else []) for i in range(N)]})
    path = file("train.csv", frame.to_csv(index=False))
    found = examine_file(path, settings=settings)
    assert turns(found) == [asked(f"{q(i)}\n\nLetter {i}.", a(i)) for i in range(N) if i != 7]
    assert reasons(found) == [(8, "it has no answer")] and codes(found)["other-answers"] == N - 1
    assert counted(file("cut.csv", path.read_bytes()[:-30]), settings)


def test_messages_of_trees_in_a_table(file: File, settings: Settings) -> None:
    """OpenAssistant's messages: ranks are numbers, and what was deleted is not learned."""
    rows = [{"message_id": f"{i}{name}", "parent_id": f"{i}a" if name != "a" else None, "text": text, "rank": rank,
             "role": "prompter" if name == "a" else "assistant", "deleted": name == "d"}
            for i in range(N) for name, text, rank in (("a", q(i), None), ("b", a(i, 1), 1.0), ("c", a(i), 0.0),
                                                       ("d", a(i, 2), None))]
    found = examine_file(file("t.csv", pd.DataFrame(rows).to_csv(index=False)), settings=settings)
    assert turns(found) == [asked(q(i), a(i)) for i in range(N)] and codes(found)["other-answers"] == N


def test_what_pandas_writes_of_lists(file: File, settings: Settings) -> None:
    said = [np.array([{"role": "user", "content": f"{q(i)}\n'it' \"is\" }} {{"},
                      {"role": "assistant", "content": a(i)}], dtype=object) for i in range(N)]
    found = examine_file(file("t.csv", pd.DataFrame({"messages": said}).to_csv(index=False)), settings=settings)
    assert turns(found) == [asked(f"{q(i)}\n'it' \"is\" }} {{", a(i)) for i in range(N)]
    frame = pd.DataFrame({"question": [q(i) for i in range(N)], "answer": [i % 3 for i in range(N)],
                          "choices": [np.array(["Ann", "Ben", "Eva"], dtype=object)] * N})
    found = examine_file(file("mmlu.csv", frame.to_csv(index=False)), settings=settings)
    assert turns(found)[1] == asked(f"{q(1)}\n\nA. Ann\nB. Ben\nC. Eva", "B")


@pytest.mark.parametrize(("cell", "value"), [
    ("['a' \"b's\"\n 'c']", ["a", "b's", "c"]), ("[1 2 3]", [1, 2, 3]), ("('a', ['b'])", ["a", ["b"]]),
    ("{'a': array(['array(x), dtype=y'], dtype=object), 'b': array([1])}", {"a": ["array(x), dtype=y"], "b": [1]}),
    ("[array(['a', 'b'], dtype=object) array(['c'], dtype=object)]", [["a", "b"], ["c"]])])
def test_values_as_numpy_shows_them(cell: str, value: Any) -> None:
    assert python_values.value(cell) == value


@pytest.mark.parametrize("cell", ["", "[", "['a' 'b'", "array(", "[b'a']", "{1, 2}", "__import__('os')",
                                  "{'a': dtype=}", ")", "'\\x", "[" * 9_999])
def test_what_is_no_value(cell: str) -> None:
    with pytest.raises(python_values.BROKEN):
        python_values.value(cell)


@pytest.mark.parametrize("kind", ["coqa", "personachat"])
def test_documents_that_are_cut_off_are_refused(kind: str, file: File, settings: Settings) -> None:
    text = json.dumps({"train": [OTHERS[kind][0](i) for i in range(9)]})
    with pytest.raises(DataError, match="not valid JSON") as caught:
        tables.read(file("t.json", text[: len(text) // 2]), settings=settings)
    assert caught.value.remedy


def test_roles_of_marked_rows(file: File, settings: Settings) -> None:
    found = examine_file(file("t.jsonl", lines({"text": MARKED["oig"][0](i)} for i in range(N))), settings=settings)
    assert found.report.columns == {"text": Role.IGNORE, "messages": Role.MESSAGES}
