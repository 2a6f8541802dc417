"""Public sets for language models in the form in which they are downloaded: made-up rows in the real layouts, and the
turns that come of them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.data import conversations, first_rows, new_rows, tables
from core.data.check import Examined, examine_file
from core.data.conversations import Turn
from core.data.readers import exchanges, marked_turns
from core.domain.dataset import Shape, Task
from core.errors import DataError
from core.settings import Settings

Archive = Callable[..., Path]
File = Callable[[str, str | bytes], Path]
Look = Callable[[str, Any], Examined]
N = 12


def q(i: int, k: int = 0) -> str:
    return f"Who saw the comet of {1800 + i} from the hill {k}?"


def a(i: int, k: int = 0) -> str:
    return f"The keeper {k} of the {('north', 'south', 'west')[i % 3]} tower wrote about it in letter {i}."


def asked(*said: str, system: str = "") -> tuple[Turn, ...]:
    """Turns that begin with a question."""
    first = (Turn("system", system),) if system else ()
    return (*first, *(Turn(("user", "assistant")[place % 2], text) for place, text in enumerate(said)))


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def gpt(text: str) -> dict[str, Any]:
    return {"from": "gpt", "value": text}


@pytest.fixture
def look(file: File, settings: Settings) -> Look:
    """A file by its name and rows (texts as they are), examined; its beginning has the same columns."""
    def run(name: str, rows: Any) -> Examined:
        if isinstance(rows, list) and name.endswith(".parquet"):
            sink = io.BytesIO()
            pq.write_table(pa.Table.from_pylist(rows), sink)
            rows = sink.getvalue()
        elif isinstance(rows, list) and name.endswith(".jsonl"):
            rows = "\n".join(map(json.dumps, rows))
        path = file(name, rows if isinstance(rows, (str, bytes)) else json.dumps(rows))
        found, table = examine_file(path, settings=settings), tables.read(path, settings=settings)
        assert first_rows.read(path, settings=settings).table.columns == table.columns
        assert table.rows_read == len(table) + len(table.left_out)
        return found
    return run


def turns(found: Examined) -> list[tuple[Turn, ...]]:
    assert found.rows.shape is Shape.CHAT
    return [conversations.load(text) for text in found.rows.text.to_pylist()]


def codes(found: Examined) -> dict[str, int]:
    return {finding.code: finding.count for finding in found.findings}


# -- trees -------------------------------------------------------------------------------------------------------------


def node(name: str, role: str, text: str, rank: int | None = None, replies: list[Any] | None = None) -> dict[str, Any]:
    return {"message_id": name, "text": text, "role": role, "lang": "en", "rank": rank, "replies": replies or []}


def tree(i: int, *, ranked: bool = True) -> dict[str, Any]:
    """Two answers to the first question, the worse first where they have ranks; two questions to the better."""
    ranks = (1, 0) if ranked else (None, None)
    best = node(f"{i}b", "assistant", a(i), ranks[1], [
        node(f"{i}e", "prompter", q(i, 9)),
        node(f"{i}c", "prompter", q(i, 1), None, [node(f"{i}d", "assistant", a(i, 1), 0)])])
    worse = node(f"{i}w", "assistant", a(i, 8), ranks[0], [node(f"{i}x", "prompter", q(i, 8))])
    return {"message_tree_id": f"t{i}", "tree_state": "ready_for_export",
            "prompt": node(f"{i}a", "prompter", q(i), None, [worse, best])}


def messages(found: dict[str, Any], parent: str | None = None, top: str = "") -> list[dict[str, Any]]:
    """A tree as rows of its messages, each with its parent."""
    row = {key: value for key, value in found.items() if key != "replies"}
    return [{**row, "parent_id": parent, "message_tree_id": top, "deleted": False},
            *(row for reply in found["replies"] for row in messages(reply, found["message_id"], top))]


def test_of_a_tree_the_best_ranked_answers_are_learned(look: Look) -> None:
    """OpenAssistant's trees."""
    found = look("trees.jsonl", [tree(i) for i in range(N)])
    assert turns(found) == [asked(q(i), a(i), q(i, 1), a(i, 1)) for i in range(N)]
    note = next(finding for finding in found.findings if finding.code == "other-answers")
    assert note.count == 2 * N and "the best-ranked is learned, the first where none has a rank" in note.message


def test_where_nothing_is_ranked_the_first_answer_is_learned(look: Look) -> None:
    """Its last question, which nobody answered, is not taken."""
    assert turns(look("t.jsonl", [tree(i, ranked=False) for i in range(N)])) == [asked(q(i), a(i, 8)) for i in range(N)]


def test_trees_that_were_given_up_are_left_out(look: Look) -> None:
    found = look("t.jsonl", [*(tree(i) for i in range(N)), {**tree(N), "tree_state": "aborted_low_grade"}])
    assert [item.reason for item in found.report.left_out] == ["its tree is in the state 'aborted_low_grade'"]


@pytest.mark.parametrize("name", ["messages.jsonl", "messages.parquet"])
def test_messages_by_their_parents_are_the_same_conversations(name: str, look: Look) -> None:
    """OpenAssistant's messages, one a row, in whatever order."""
    rows = [row for i in range(N) for row in messages(tree(i)["prompt"], top=f"t{i}")]
    lost = [{**rows[3], "message_id": "lost", "parent_id": "gone"}, {**rows[3], "message_id": "x", "parent_id": "lost"}]
    found = look(name, [*rows[::-1], *lost])
    assert {tuple(turn.content for turn in row) for row in turns(found)} == {
        (q(i), a(i), q(i, 1), a(i, 1)) for i in range(N)}
    assert {item.reason for item in found.report.left_out} == {
        "no way leads from it to a first message: one that it answers is not in the file"}
    assert len(found.report.left_out) == 2


def test_what_chatgpt_exports_is_the_branch_that_was_shown(look: Look) -> None:
    def said(role: str, text: str, parent: str | None) -> dict[str, Any]:
        content = {"content_type": "text", "parts": [text]}
        return {"message": {"author": {"role": role}, "content": content}, "parent": parent, "children": []}

    rows = [{"title": f"Title {i}", "current_node": "d", "mapping": {
        "r": {"message": None, "parent": None, "children": ["a"]}, "a": said("system", "", "r"),
        "b": said("user", q(i), "a"), "c": said("assistant", a(i, 7), "b"), "d": said("assistant", a(i), "b")}}
        for i in range(N)]
    assert turns(look("conversations.json", rows)) == [asked(q(i), a(i)) for i in range(N)]


# -- what becomes of one row -------------------------------------------------------------------------------------------

CHAT: dict[str, tuple[Callable[[int], dict[str, Any]], Callable[[int], tuple[Turn, ...]]]] = {
    "p3": (lambda i: {"inputs": q(i), "inputs_pretokenized": q(i), "targets": a(i)}, lambda i: asked(q(i), a(i))),
    "flan": (lambda i: {"inputs": q(i), "targets": a(i), "task_name": f"task {i % 3}", "template_type": "fs_opt"},
             lambda i: asked(q(i), a(i))),
    "natural-instructions": (
        lambda i: {"task_name": "t1", "id": f"t1-{i}", "definition": "Answer it.", "inputs": q(i), "targets": a(i)},
        lambda i: asked(f"Answer it.\n\n{q(i)}", a(i))),
    "dolly": (lambda i: {"instruction": q(i), "context": f"Note {i}.", "response": a(i), "category": "open_qa"},
              lambda i: asked(f"{q(i)}\n\nNote {i}.", a(i))),
    "ultrachat": (lambda i: {"id": str(i), "data": [q(i), a(i), q(i, 1), a(i, 1)]},
                  lambda i: asked(q(i), a(i), q(i, 1), a(i, 1))),
    "lima": (lambda i: {"conversations": [q(i), a(i)], "source": "stackexchange"}, lambda i: asked(q(i), a(i))),
    "openorca": (lambda i: {"id": f"niv.{i}", "system_prompt": "Be brief.", "question": q(i), "response": a(i)},
                 lambda i: asked(q(i), a(i), system="Be brief.")),
    "mbpp": (lambda i: {"text": q(i), "code": f"def f(x):\n    return x + {i}", "task_id": i, "test_list": ["a"]},
             lambda i: asked(q(i), f"def f(x):\n    return x + {i}")),
    "humaneval": (lambda i: {"task_id": f"H/{i}", "prompt": f"def f{i}(x):\n", "entry_point": "f",
                             "canonical_solution": f"    return {i}\n", "test": "assert f(1)"},
                  lambda i: asked(f"def f{i}(x):\n", f"    return {i}\n")),
    "shp": (lambda i: {"post_id": f"p{i}", "domain": "cooking_train", "history": q(i), "human_ref_A": a(i, i % 2),
                       "human_ref_B": a(i, 1 - i % 2), "labels": 1 - i % 2, "score_A": 3},
            lambda i: asked(q(i), a(i))),
    "ultrafeedback": (
        lambda i: {"source": "evol", "instruction": q(i), "models": ["x", "y"], "completions": [
            {"response": a(i, 1), "overall_score": 3.0}, {"response": a(i), "overall_score": 9.5}]},
        lambda i: asked(q(i), a(i))),
    "dpo": (lambda i: {"prompt": q(i), "chosen": a(i), "rejected": f"No. {a(i, 1)} That is all that I know of it."},
            lambda i: asked(q(i), a(i))),
    "dpo-of-trl": (lambda i: {"prompt": [user(q(i))], "chosen": [assistant(a(i))], "rejected": [assistant(a(i, 1))]},
                   lambda i: asked(q(i), a(i))),
    "orca-dpo": (lambda i: {"system": "Be kind.", "question": q(i), "chosen": a(i), "rejected": f"No. {a(i, 1)} No."},
                 lambda i: asked(q(i), a(i), system="Be kind.")),
    "llama-factory-dpo": (
        lambda i: {"conversations": [{"from": "human", "value": q(i)}], "chosen": gpt(a(i)), "rejected": gpt(a(i, 1))},
        lambda i: asked(q(i), a(i))),
    "openai-dpo": (
        lambda i: {"input": {"messages": [user(q(i))]}, "preferred_output": [assistant(a(i))],
                   "non_preferred_output": [assistant(a(i, 1))]}, lambda i: asked(q(i), a(i))),
    "arena": (
        lambda i: {"question_id": f"q{i}", "winner": ("model_a", "model_b")[i % 2],
                   "conversation_a": [user(q(i)), assistant(a(i, i % 2))],
                   "conversation_b": [user(q(i)), assistant(a(i, 1 - i % 2))]}, lambda i: asked(q(i), a(i))),
    "history": (lambda i: {"instruction": q(i), "input": "", "output": a(i), "history": [[q(i, 1), a(i, 1)]]},
                lambda i: asked(q(i, 1), a(i, 1), q(i), a(i))),
    "squad-of-the-hub": (
        lambda i: {"id": f"{i:024}", "title": f"Comets {i // 4}", "context": f"In letter {i} it stands.",
                   "question": q(i), "answers": {"text": [a(i), a(i, 1)], "answer_start": [3, 4]}},
        lambda i: asked(f"{q(i)}\n\nIn letter {i} it stands.", a(i))),
    "forum": (
        lambda i: {"question_id": i, "title": f"Comet {i}", "body": q(i), "answers": [
            {"body": a(i, 1), "score": 50, "accepted": False}, {"body": a(i), "score": 1, "accepted": True}]},
        lambda i: asked(f"Comet {i}\n\n{q(i)}", a(i))),
    "eli5": (
        lambda i: {"q_id": f"x{i}", "title": q(i), "selftext": "", "answers": {
            "a_id": ["a", "b"], "text": [a(i, 1), a(i)], "score": [2, 30]}}, lambda i: asked(q(i), a(i))),
    "hc3": (lambda i: {"question": q(i), "human_answers": [a(i), a(i, 1)], "chatgpt_answers": ["As a model, no."]},
            lambda i: asked(q(i), a(i))),
    "mmlu": (lambda i: {"question": q(i), "subject": "astronomy", "choices": ["Ann", "Ben", "Eva"], "answer": i % 3},
             lambda i: asked(f"{q(i)}\n\nA. Ann\nB. Ben\nC. Eva", "ABC"[i % 3])),
    "race": (
        lambda i: {"article": f"Letter {i}.", "question": q(i), "options": ["Ann", "Ben"], "answer": "AB"[i % 2]},
        lambda i: asked(f"{q(i)}\n\nLetter {i}.\n\nA. Ann\nB. Ben", "AB"[i % 2])),
    "arc": (
        lambda i: {"id": f"M{i}", "question": q(i), "answerKey": "AB"[i % 2],
                   "choices": {"text": ["Ann", "Ben"], "label": ["A", "B"]}},
        lambda i: asked(f"{q(i)}\n\nA. Ann\nB. Ben", "AB"[i % 2])),
    "mt-bench-with-answers": (
        lambda i: {"question_id": i, "category": "math", "turns": [q(i), q(i, 1)], "reference": [a(i), a(i, 1)]},
        lambda i: asked(q(i), a(i), q(i, 1), a(i, 1))),
    "translation": (lambda i: {"translation": {"en": q(i), "de": f"Wer sah {i}?"}},
                    lambda i: asked(q(i), f"Wer sah {i}?")),
    "source-and-target": (lambda i: {"source": q(i), "target": a(i)}, lambda i: asked(q(i), a(i))),
    "firefly": (lambda i: {"kind": "NLI", "input": q(i), "target": a(i)}, lambda i: asked(q(i), a(i))),
    "billsum": (lambda i: {"text": f"{q(i)} {a(i)}", "summary": a(i)}, lambda i: asked(f"{q(i)} {a(i)}", a(i))),
    "bedrock": (lambda i: {"system": [{"text": "Be kind."}], "messages": [user(q(i)), assistant(a(i))]},
                lambda i: asked(q(i), a(i), system="Be kind.")),
    "gemini": (
        lambda i: {"systemInstruction": {"role": "system", "parts": [{"text": "Be kind."}]}, "contents": [
            {"role": "user", "parts": [{"text": q(i)}]}, {"role": "model", "parts": [{"text": a(i)}]}]},
        lambda i: asked(q(i), a(i), system="Be kind.")),
    "llama-2": (
        lambda i: {"text": f"<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\n{q(i)} [/INST] {a(i)} </s><s>[INST] {q(i, 1)} "
                           f"[/INST] {a(i, 1)} </s>"},
        lambda i: asked(q(i), a(i), q(i, 1), a(i, 1), system="Be kind.")),
    "chatml": (lambda i: {"text": f"<|im_start|>user\n{q(i)}<|im_end|>\n<|im_start|>assistant\n{a(i)}<|im_end|>\n"},
               lambda i: asked(q(i), a(i))),
    "guanaco": (lambda i: {"text": f"### Human: {q(i)}### Assistant: {a(i)}"}, lambda i: asked(q(i), a(i))),
    "claude-export": (
        lambda i: {"uuid": f"u{i}", "name": f"Name {i}", "chat_messages": [
            {"text": q(i), "content": [{"type": "text", "text": q(i)}], "sender": "human"},
            {"text": a(i), "content": [{"type": "text", "text": a(i)}], "sender": "assistant"}]},
        lambda i: asked(q(i), a(i))),
}


@pytest.mark.parametrize("kind", CHAT)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_conversations_as_they_are_published(kind: str, name: str, look: Look) -> None:
    row, said = CHAT[kind]
    found = look(name, [row(i) for i in range(N)])
    assert turns(found) == [said(i) for i in range(N)] and not found.report.left_out


def test_a_cell_that_is_no_text_costs_its_row(file: File, settings: Settings) -> None:
    rows = [CHAT["squad-of-the-hub"][0](i) for i in range(N)]
    table = pa.Table.from_pylist(rows)
    broken = pa.array([row["question"].encode() + (b"\xff" if i == 4 else b"") for i, row in enumerate(rows)])
    at = table.column_names.index("question")
    sink = io.BytesIO()
    pq.write_table(table.set_column(at, "question", pa.Array.from_buffers(pa.string(), N, broken.buffers())), sink)
    found = examine_file(file("t.parquet", sink.getvalue()), settings=settings)
    assert [item.row for item in found.report.left_out] == [5] and len(found.rows) == N - 1


@pytest.mark.parametrize(("kind", "code"), [
    ("ultrafeedback", "other-answers"), ("squad-of-the-hub", "other-answers"), ("forum", "other-answers"),
    ("shp", "other-answers"), ("arena", "other-answers"), ("dpo", "rejected-not-read")])
def test_answers_that_are_not_learned_are_said(kind: str, code: str, look: Look) -> None:
    assert codes(look("t.jsonl", [CHAT[kind][0](i) for i in range(N)]))[code] in (1, N)


def test_each_instance_of_a_task_is_a_row(look: Look) -> None:
    """Seed tasks of self-instruct; no split parts the instances of one."""
    rows = [{"id": f"seed_{i}", "name": "n", "instruction": q(i), "is_classification": False, "instances": [
        {"input": "", "output": a(i)}, {"input": f"In {i}.", "output": a(i, 1)}]} for i in range(N)]
    found = look("seed_tasks.jsonl", rows)
    assert turns(found) == [row for i in range(N) for row in (asked(q(i), a(i)), asked(f"{q(i)}\n\nIn {i}.", a(i, 1)))]
    assert all(one == other for one, other in zip(found.split[::2], found.split[1::2], strict=True))


@pytest.mark.parametrize("lists", [False, True])
def test_answers_marked_as_unwanted_are_left_out(lists: bool, look: Look) -> None:
    """KTO."""
    rows = [{"prompt": [user(q(i))] if lists else q(i), "completion": [assistant(a(i))] if lists else a(i),
             "label": i % 3 > 0} for i in range(N)]
    found = look("t.jsonl", rows)
    assert turns(found) == [asked(q(i), a(i)) for i in range(N) if i % 3]
    assert {item.reason for item in found.report.left_out} == {"its answer is marked as unwanted (label is false)"}


def test_battles_that_nobody_won_are_left_out(look: Look) -> None:
    found = look("t.jsonl", [CHAT["arena"][0](i) | ({"winner": "tie"} if i == 2 else {}) for i in range(N)])
    assert [(item.row, item.reason) for item in found.report.left_out] == [
        (3, "neither of its conversations won ('tie')")]


_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.floats() | st.sampled_from(["", "a", "A", "model_a", q(1)]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["text", "role", "content", "replies", "label", "score", "parts", "message", "parent", "sender",
                         "output"]), inner, max_size=4), max_leaves=8)


@hypothesis_settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([*CHAT, "tree"]), st.integers(0, 30), _VALUE)
def test_no_value_breaks_the_reading(kind: str, at: int, value: Any) -> None:
    """Whatever stands in one place of one row: it is read or left out with a reason, and the others are read."""
    rows: list[Any] = [tree(i) if kind == "tree" else CHAT[kind][0](i) for i in range(4)]
    changed = list(rows[3])[at % len(rows[3])]
    found = exchanges.rearranged((row, "") for row in [*rows[:3], {**rows[3], changed: value}])
    read = list(found.items)
    assert read[:3] == list(exchanges.rearranged((row, "") for row in rows).items)[:3]
    assert len(read) == 4 and all(problem or isinstance(item, dict) for item, problem in read)


# -- documents of a task -----------------------------------------------------------------------------------------------


def squad(version: str) -> dict[str, Any]:
    second = version == "v2.0"
    return {"version": version, "data": [{"title": f"Comets {t}", "paragraphs": [{"context": f"Letter {t}.", "qas": [
        {"id": f"{t}{k}", "question": q(t, k), "answers": [{"text": a(t, k), "answer_start": 1}],
         **({"is_impossible": False} if second else {})} for k in range(3)] + ([
             {"id": f"{t}x", "question": q(t, 9), "answers": [], "is_impossible": True,
              "plausible_answers": [{"text": "No.", "answer_start": 0}]}] if second else [])}]} for t in range(5)]}


@pytest.mark.parametrize("version", ["1.1", "v2.0"])
def test_squad_is_questions_with_their_text(version: str, look: Look) -> None:
    found = look("train.json", squad(version))
    assert turns(found) == [asked(f"{q(t, k)}\n\nLetter {t}.", a(t, k)) for t in range(5) for k in range(3)]
    assert [item.reason for item in found.report.left_out] == ["it has no answer"] * (5 if version == "v2.0" else 0)


def test_a_task_of_natural_instructions(look: Look) -> None:
    whole = {"Contributors": ["A"], "Source": ["x"], "Definition": ["Say who."], "Positive Examples": [
        {"input": "x", "output": "y", "explanation": "z"}] * 3, "Negative Examples": [{"input": "x", "output": "no"}],
        "Instances": [{"id": f"t-{i}", "input": q(i), "output": [a(i), a(i, 1)]} for i in range(N)]}
    found = look("task001.json", whole)
    assert turns(found) == [asked(f"Say who.\n\n{q(i)}", a(i)) for i in range(N)]


# -- refused, or said --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("row", "what"), [
    (lambda i: {"question_id": i, "category": "math", "turns": [q(i), q(i, 1)]}, "no rows with named values"),
    (lambda i: {"story": q(i), "questions": [{"text": q(i)}], "answers": [{"span": a(i)}]}, "the response"),
    (lambda i: {"name": f"N{i}", "log": [{"at": i, "what": a(i)}]}, "the text"),
    (lambda i: {"prompt": q(i), "response_a": a(i), "response_b": a(i, 1)}, "the response")],
    ids=["questions-alone", "questions-in-objects", "names-of-logs", "two-answers"])
def test_half_of_what_a_row_says_is_not_taken_for_it(row: Callable[[int], Any], what: str, look: Look) -> None:
    with pytest.raises(DataError, match=what) as caught:
        look("t.jsonl", [row(i) for i in range(N)])
    assert caught.value.why and caught.value.remedy


def test_context_that_is_passed_over_is_said(look: Look) -> None:
    """PubMedQA."""
    found = look("t.jsonl", [{"question": q(i), "long_answer": a(i), "context": {"contexts": [f"Letter {i}."] * 2}}
                             for i in range(N)])
    note = next(finding for finding in found.findings if finding.code == "context-not-read")
    assert turns(found)[0] == asked(q(0), a(0)) and note.example == "context.contexts"


def test_marks_of_good_and_bad_answers_in_a_table_are_said(look: Look) -> None:
    found = look("t.csv", "prompt,completion,label\n" + "".join(f"{q(i)},{a(i)},{i % 2 > 0}\n" for i in range(N)))
    assert turns(found)[0] == asked(q(0), a(0)) and codes(found)["marks-not-read"] == 1


def test_two_languages_beside_a_label_are_labelled_texts(look: Look) -> None:
    found = look("t.jsonl", [{"en": q(i), "de": a(i), "label": ("old", "new")[i % 2]} for i in range(N)])
    assert found.rows.shape is None and found.report.classes == {"old": 6, "new": 6}


def test_source_and_target_that_are_words_stay_domain_and_label(look: Look) -> None:
    found = look("t.jsonl", [{"source": "web", "text": q(i), "target": ("old", "new")[i % 2]} for i in range(N)])
    assert found.report.columns == {"source": "domain", "text": "text", "target": "label"}


# -- plain texts -------------------------------------------------------------------------------------------------------


def test_a_dialog_a_line(look: Look) -> None:
    """DailyDialog."""
    lines = [f"{q(i)} __eou__ {a(i)} __eou__" for i in range(N)]
    found = look("dialogues_text.txt", "\n".join([*lines, f"{q(99)} __eou__"]) + "\n")
    assert turns(found) == [asked(q(i), a(i)) for i in range(N)]
    assert [item.reason for item in found.report.left_out] == ["it ends without an answer"]


def test_dialogs_beside_what_is_noted_of_them(archive: Archive, settings: Settings) -> None:
    files = {f"{split}/dialogues_{split}.txt": "".join(f"{split} {q(i)} __eou__ {a(i)} __eou__\n" for i in range(n))
             for split, n in (("train", 12), ("test", 6))}
    files |= {f"{split}/dialogues_act_{split}.txt": "1 2\n" * 12 for split in ("train", "test")}
    found = examine_file(archive(files), settings=settings)
    assert turns(found)[0] == asked(f"train {q(0)}", a(0)) and len(found.rows) == 18
    assert codes(found)["unused-files"] == 2 and set(found.rows.split or ()) == {"train", "test"}


def test_dialogs_whose_file_names_no_split(archive: Archive, settings: Settings,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"d/dialogues_text.txt": "".join(f"{q(i)} __eou__ {a(i)} __eou__\n" for i in range(N)),
             "d/dialogues_topic.txt": "1\n2\n" * 6, "d/readme.txt": "Of days.\n"}
    path = archive(files)
    assert turns(examine_file(path, settings=settings)) == [asked(q(i), a(i)) for i in range(N)]
    monkeypatch.setattr(first_rows, "HEAD_BYTES", 100)               # as a large archive is looked at
    assert first_rows.read(path, settings=settings).table.columns == ("messages",)


def test_personas_are_told_to_the_system(look: Look) -> None:
    """PersonaChat, as ParlAI writes it: the candidates are not learned."""
    text = "".join(f"1 your persona: i see comet {i}.\n2 {q(i)}\t{a(i)}\t\tno|{a(i)}\n3 {q(i, 1)}\t{a(i, 1)}\t\tno\n"
                   for i in range(N))
    assert turns(look("train_self_original.txt", text)) == [
        asked(q(i), a(i), q(i, 1), a(i, 1), system=f"your persona: i see comet {i}.") for i in range(N)]


def films() -> dict[str, str]:
    parts = [(f"L{3 * i + k}", ("u0", "u1", "u1")[k], (q(i), a(i), "Yes.")[k]) for i in range(N) for k in range(3)]
    return {"c/movie_lines.txt": "".join(f"{n} +++$+++ {u} +++$+++ m{int(n[1:]) // 9} +++$+++ ANN +++$+++ {said}\n"
                                         for n, u, said in reversed(parts)),
            "c/movie_conversations.txt": "".join(
                f"u0 +++$+++ u1 +++$+++ m{i // 3} +++$+++ ['L{3 * i}', 'L{3 * i + 1}', 'L{3 * i + 2}']\n"
                for i in range(N)), "c/README.txt": "Lines of films.\n"}


def test_lines_of_films_are_conversations(archive: Archive, file: File, settings: Settings) -> None:
    """Cornell: what one side says in a row is one turn, and no split parts a film; the lines alone are refused."""
    found = examine_file(archive(films()), settings=settings)
    assert turns(found) == [asked(q(i), f"{a(i)}\nYes.") for i in range(N)] and found.report.groups == 4
    with pytest.raises(DataError, match="lines of films"):
        tables.read(file("movie_lines.txt", films()["c/movie_lines.txt"]), settings=settings)


def test_files_that_answer_each_other_line_by_line(archive: Archive, settings: Settings) -> None:
    """Multi30k and the like."""
    files = {f"{split}.{code}": "".join(f"{code} {split} {q(i)}\n" for i in range(n))
             for split, n in (("train", 12), ("val", 6)) for code in ("de", "en")} | {"README.txt": "Two languages.\n"}
    found = examine_file(archive(files), settings=settings)
    assert turns(found)[0] == asked(f"de train {q(0)}", f"en train {q(0)}") and len(found.rows) == 18
    assert set(found.rows.split or ()) == {"train", "validation"} and codes(found)["parallel-files"] == 2
    with pytest.raises(DataError, match="do not belong together"):
        tables.read(archive(files | {"train.de": "one line\nand another\n"}), settings=settings)


def test_the_direction_is_what_the_name_says(archive: Archive, settings: Settings) -> None:
    for name, first in (("europarl.en-de", "en"), ("europarl.de-en", "de"), ("europarl", "de")):
        files = {f"{name}.{code}": "".join(f"{code} {q(i)}\n" for i in range(N)) for code in ("de", "en")}
        assert tables.read(archive(files), settings=settings).columns[0] == first


PAGES = [f"{q(i)} " * (i % 4 + 1) + f"\n\n{a(i)}, and so on, {i}.\n" for i in range(40)]


@pytest.mark.parametrize("name", ["enwik8", "notes.md", "book.tex"])
def test_prose_without_the_ending_of_a_text_is_no_table(name: str, look: Look) -> None:
    found = look(name, "\n".join(PAGES))
    assert found.rows.shape is Shape.TEXT and found.report.rows_read == 1
    assert "".join("".join(found.rows.text.to_pylist()).split()) == "".join("".join(PAGES).split())


def test_one_long_line_is_a_text(look: Look) -> None:
    """text8."""
    assert look("text8", " ".join(f"comet {i} of the north" for i in range(900))).report.rows_read == 1


def test_cells_without_an_ending_stay_a_table(file: File, settings: Settings) -> None:
    path = file("iris", "\n".join(f"{5 + i % 3}.1,{3 + i % 2}.5,{('setosa', 'virginica')[i % 2]}" for i in range(N)))
    assert len(tables.read(path, settings=settings).columns) == 3


def test_notes_and_source_code_are_documents(archive: Archive, settings: Settings) -> None:
    files: dict[str, str | bytes] = {f"project/part{i}.py": f"def f{i}(x):\n    return x + {i}\n" for i in range(N)}
    files |= {"project/README.md": "# Project\n\nIt adds.\n", "project/package.json": "{}", "project/a.bin": b"\0\1"}
    path = archive(files)
    found = examine_file(path, settings=settings)
    assert found.rows.shape is Shape.TEXT and found.rows.text.to_pylist()[-1] == "def f9(x):\n    return x + 9\n"
    assert {item.file for item in found.report.left_out} == {"project/package.json", "project/a.bin"}
    new = new_rows.read(path, task=Task.TEXT_CLASSIFICATION, source=None, text="text", settings=settings)
    assert len(new.content) == N + 1


def test_code_beside_lines_of_the_splits_is_not_the_data(archive: Archive, settings: Settings) -> None:
    path = archive({f"{split}.txt": "".join(f"{split} {a(i)}\n\n" for i in range(N)) for split in ("train", "test")}
                   | {f"part{i}.py": "x = 1\n" for i in range(9)})
    assert "part" not in " ".join(tables.read(path, settings=settings).data["text"].to_pylist())


def test_code_beside_a_table_is_not_the_data(archive: Archive, settings: Settings) -> None:
    path = archive({"train.csv": "text,label\n" + "".join(f"{a(i)},{i % 2}\n" for i in range(N)),
                    "load.py": "x = 1\n", "model.py": "y = 2\n", "README.md": "# Set\n"})
    assert tables.read(path, settings=settings).columns == ("text", "label")


def test_the_licence_of_a_book_is_found(look: Look) -> None:
    book = "\n\n".join(f"{q(i)} {a(i)} " * 20 for i in range(20))
    found = look("pg1.txt", f"The Project Gutenberg eBook of Comets\n\n{book}\n\n*** END OF THE PROJECT GUTENBERG "
                            "EBOOK COMETS ***\n\nSection 1. General Terms of Use\n")
    note = next(finding for finding in found.findings if finding.code == "licence-text")
    assert note.rows == (1, len(found.rows))


@pytest.mark.parametrize("text", [
    "", "plain words", "Before. <s>[INST] a [/INST] b </s>", "### Human: hi and more ### Response: no",
    "<|im_start|>user\nhi", "### Instruction:\nx\n\n### Solution:\ny"])
def test_texts_that_are_not_turns_from_end_to_end_stay_texts(text: str) -> None:
    found = marked_turns.turns_of(text)
    assert found is None or [turn["role"] for turn in found] == ["user"]
