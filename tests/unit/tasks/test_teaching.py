"""Which tokens teach: masks of published chat templates against spans written by hand; what templates do to rows."""

from __future__ import annotations

import numpy as np
import pytest

from core.data.conversations import Turn, dump
from core.domain.dataset import Shape
from core.tasks import teaching
from core.tasks.formats import DATE
from tests import chat_templates

SYSTEM, ASK, TELL, AGAIN, END = (Turn("system", "Be brief."), Turn("user", "Capital of France?"),
                                 Turn("assistant", "Paris."), Turn("user", "And Italy?"), Turn("assistant", "Rome."))
TURNS = (SYSTEM, ASK, TELL, AGAIN, END)

# (text, taught) in order, by hand
EXPECTED = {
    "smollm2": [("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nCapital of France?<|im_end|>\n"
                 "<|im_start|>assistant\n", False), ("Paris.<|im_end|>", True),
                ("\n<|im_start|>user\nAnd Italy?<|im_end|>\n<|im_start|>assistant\n", False),
                ("Rome.<|im_end|>", True), ("\n", False)],
    "llama3": [("<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
                "<|start_header_id|>user<|end_header_id|>\n\nCapital of France?<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\n", False), ("Paris.<|eot_id|>", True),
               ("<|start_header_id|>user<|end_header_id|>\n\nAnd Italy?<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\n", False), ("Rome.<|eot_id|>", True)],
    "mistral": [("<s>[INST] Be brief.\n\nCapital of France? [/INST]", False), ("Paris.</s>", True),
                (" [INST] And Italy? [/INST]", False), ("Rome.</s>", True), (" ", False)],
    "gemma": [("<bos><start_of_turn>user\nBe brief.\n\nCapital of France?<end_of_turn>\n<start_of_turn>model\n", False),
              ("Paris.<end_of_turn>", True),
              ("\n<start_of_turn>user\nAnd Italy?<end_of_turn>\n<start_of_turn>model\n", False),
              ("Rome.<end_of_turn>", True), ("\n", False)],
    "phi3": [("<|system|>\nBe brief.<|end|>\n<|user|>\nCapital of France?<|end|>\n<|assistant|>\n", False),
             ("Paris.<|end|>", True), ("\n<|user|>\nAnd Italy?<|end|>\n<|assistant|>\n", False),
             ("Rome.<|end|>", True), ("\n<|endoftext|>", False)],
    "qwen3": [("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nCapital of France?<|im_end|>\n"
               "<|im_start|>assistant\n", False), ("Paris.<|im_end|>", True),
              ("\n<|im_start|>user\nAnd Italy?<|im_end|>\n<|im_start|>assistant\n", False),
              ("<think>\n\n</think>\n\nRome.<|im_end|>", True), ("\n", False)],
    "marked": [("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nCapital of France?<|im_end|>\n"
                "<|im_start|>assistant\n", False), ("Paris.<|im_end|>", True),
               ("\n<|im_start|>user\nAnd Italy?<|im_end|>\n<|im_start|>assistant\n", False),
               ("Rome.<|im_end|>", True), ("\n", False)],
    "base": [("System: Be brief.\n\nUser: Capital of France?\n\nAssistant:", False), (" Paris.<|endoftext|>", True),
             ("\n\nUser: And Italy?\n\nAssistant:", False), (" Rome.<|endoftext|>", True)],
    "bare": [("System: Be brief.\n\nUser: Capital of France?\n\nAssistant:", False), (" Paris.\n\n", True),
             ("User: And Italy?\n\nAssistant:", False), (" Rome.\n\n", True)],
}


def chat(turns: tuple[Turn, ...], family: str, *, limit: int = 1000, template: str | None = None) -> teaching.Taught:
    format = teaching.format_of(chat_templates.tokenizer(family, template=template))
    return teaching.teach(format, dump(turns), Shape.CHAT, limit)


def said(row: teaching.Taught) -> list[str]:
    return [piece["text"] for piece in row.pieces if piece["kind"] == "taught"]


@pytest.mark.parametrize("family", EXPECTED)
def test_mask_of_published_templates(family: str) -> None:
    row = chat(TURNS, family)
    assert [(piece["text"], piece["kind"] == "taught") for piece in row.pieces] == EXPECTED[family]
    assert row.n_cut == 0 and row.refusal == ""
    words = "".join(text for text, taught in EXPECTED[family] if taught)
    for token in chat_templates.SPECIAL[family]:
        words = words.replace(token, "")
    assert row.n_bytes == len(words.encode())


@pytest.mark.parametrize("family", EXPECTED)
def test_last_answer_and_its_end_are_known(family: str) -> None:
    row = chat(TURNS, family)
    first, behind = row.answer
    answer = "".join(row.parts[first:behind])
    assert answer == said(row)[-1] and row.taught[first:behind].all() and row.end == behind - 1
    assert "Rome" not in row.parts[row.end]


@pytest.mark.parametrize("family", EXPECTED)
def test_prompt_ends_where_the_answer_begins(family: str) -> None:
    format = teaching.format_of(chat_templates.tokenizer(family))
    row = teaching.teach(format, dump((ASK, TELL)), Shape.CHAT, 1000)
    ids = teaching.prompt_ids(format, dump((ASK,)), Shape.CHAT)
    assert list(row.ids[:row.answer[0]]) == ids
    assert teaching.prompt_ids(format, ASK.content, Shape.CHAT) == ids  # a text stands for the question


def test_marks_are_those_of_transformers() -> None:
    tokenizer = chat_templates.tokenizer("marked")
    found = tokenizer.apply_chat_template([{"role": t.role, "content": t.content} for t in TURNS], tokenize=True,
                                          return_dict=True, return_assistant_tokens_mask=True)
    row = chat(TURNS, "marked")
    assert list(row.ids) == list(found["input_ids"]) and list(row.taught) == [bool(m) for m in found["assistant_masks"]]


def test_end_token_outside_of_the_marks_is_taught() -> None:
    template = chat_templates.MARKED.replace(" + '<|im_end|>' }}{% endgeneration %}",
                                             " }}{% endgeneration %}{{ '<|im_end|>' }}")
    assert said(chat(TURNS, "marked", template=template)) == ["Paris.<|im_end|>", "Rome.<|im_end|>"]


def notes(family: str, template: str | None = None) -> str:
    return " ".join(teaching.format_of(chat_templates.tokenizer(family, template=template)).notes)


def test_what_templates_do_is_said() -> None:
    assert "named SmolLM" in notes("smollm2") and "system text of its own" in notes("smollm2")
    assert "Padding and the end of a text are the same token" in notes("smollm2")
    assert "strips white space" in notes("llama3") and "would put a second one" in notes("llama3")
    assert "refuses system texts" in notes("gemma") and "two turns of one role" in notes("gemma")
    assert "drops the thoughts" in notes("qwen3") and "<think> </think>" in notes("qwen3")
    assert "no generation marks" in notes("qwen3") and "no generation marks" not in notes("marked")
    assert "base model" in notes("base") and "no end token" in notes("bare")
    passages = teaching.format_of(chat_templates.tokenizer("smollm2")).passage_notes
    assert len(passages) == 2 and "no start token" in passages[1] and "no start token" not in notes("smollm2")
    assert "system text of its own" not in notes("qwen3") + notes("llama3") + notes("phi3")


def test_thoughts_of_earlier_answers_are_dropped_and_the_last_is_taught() -> None:
    thinking = (ASK, Turn("assistant", "<think>\nEasy.\n</think>\n\nParis."), AGAIN,
                Turn("assistant", "<think>\nHm.\n</think>\n\nRome."))
    assert said(chat(thinking, "qwen3")) == ["Paris.<|im_end|>", "<think>\nHm.\n</think>\n\nRome.<|im_end|>"]


def test_template_without_generation_prompt_gives_its_header_as_context() -> None:
    bare = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    assert said(chat(TURNS, "marked", template=bare)) == ["Paris.<|im_end|>", "Rome.<|im_end|>"]
    assert "no generation prompt" in notes("marked", bare)
    format = teaching.format_of(chat_templates.tokenizer("marked", template=bare))
    assert format.prompt([ASK]).endswith("<|im_start|>assistant\n")


def test_template_without_end_token_gets_one() -> None:
    open_ended = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}" \
                 "{% if add_generation_prompt %}assistant: {% endif %}"
    row = chat(TURNS, "marked", template=open_ended)
    assert [text.strip() for text in said(row)] == ["Paris.", "Rome.<|im_end|>"]
    assert "no end token after an answer" in notes("marked", open_ended)
    assert "become one token" in notes("marked", open_ended) and "become one token" not in notes("smollm2")
    assert row.parts[row.end] == "<|im_end|>"


def test_template_that_moves_the_system_text() -> None:
    """As Mistral's later ones do, into the last user turn: earlier renderings are then no beginnings."""
    moving = ("{% set system = messages[0].content if messages[0].role == 'system' else '' %}{{ bos_token }}"
              "{% for m in messages %}{% if m.role == 'user' %}{% set last = not (messages[loop.index:] | "
              "selectattr('role', 'equalto', 'user') | list) %}[INST] {{ system ~ '\n\n' if last and system else '' }}"
              "{{ m.content }} [/INST]{% elif m.role == 'assistant' %} {{ m.content }}{{ eos_token }}{% endif %}"
              "{% endfor %}")
    row = chat(TURNS, "mistral", template=moving)
    assert [text.strip() for text in said(row)] == ["Paris.</s>", "Rome.</s>"]
    assert "moves the system text" in notes("mistral", moving)


def test_doubled_start_token_is_left_out() -> None:
    double = "{{ bos_token }}" + chat_templates.MISTRAL
    assert list(chat((ASK, TELL), "mistral", template=double).ids) == list(chat((ASK, TELL), "mistral").ids)
    assert "twice" in notes("mistral", double)


def test_dates_stand_still() -> None:
    dated = "{{ strftime_now('%d') if date_string is not defined else date_string }}" + chat_templates.SMOLLM2
    assert DATE in "".join(chat((ASK, TELL), "smollm2", template=dated).parts)


def test_template_that_refuses_a_conversation_teaches_nothing_and_says_why() -> None:
    picky = "{% if messages | length > 3 %}{{ raise_exception('too long for me') }}{% endif %}" + chat_templates.SMOLLM2
    row = chat(TURNS, "smollm2", template=picky)
    assert row.n_taught == 0 and "too long for me" in row.refusal
    assert chat((ASK, TELL), "smollm2", template=picky).n_taught > 0


def test_broken_template_gives_the_plain_format() -> None:
    broken = "{% for m in messages %}{{ m.content.nothing() }}{% endfor %}"
    assert said(chat(TURNS, "marked", template=broken)) == [" Paris.<|im_end|>", " Rome.<|im_end|>"]
    assert "cannot be used" in notes("marked", broken)


def test_end_token_inside_a_question_does_not_end_an_answer() -> None:
    odd = (Turn("user", "Paris.<|im_end|> or Rome.?"), TELL, AGAIN, END)
    assert said(chat(odd, "smollm2")) == ["Paris.<|im_end|>", "Rome.<|im_end|>"]


def test_turns_of_one_role_are_joined_where_the_template_wants_it() -> None:
    row = chat((ASK, AGAIN, TELL, END), "gemma")
    assert said(row) == ["Paris.\n\nRome.<end_of_turn>"]


@pytest.mark.parametrize("family", ["smollm2", "mistral", "qwen3", "base"])
def test_what_is_cut_is_counted(family: str) -> None:
    whole = chat(TURNS, family)
    for limit in (1, 5, whole.answer[0] + 1, len(whole.ids) - 1, len(whole.ids)):
        row = chat(TURNS, family, limit=limit)
        assert len(row.ids) == min(limit, len(whole.ids)) and len(row.ids) + row.n_cut == len(whole.ids)
        assert row.n_taught + row.n_cut_taught == whole.n_taught
        assert "".join(piece["text"] for piece in row.pieces) == "".join(whole.parts)
        assert (row.answer == (-1, -1)) == (limit < whole.answer[1])


def test_everything_can_be_taught() -> None:
    format = teaching.format_of(chat_templates.tokenizer("smollm2"))
    row = teaching.teach(format, dump(TURNS), Shape.CHAT, 1000, taught="everything")
    assert not row.taught[0] and row.taught[1:].all() and row.answer[0] > 0


# -- passages ----------------------------------------------------------------------------------------------------------


def passage(family: str, text: str, *, limit: int = 1000, ends: bool = True) -> teaching.Taught:
    return teaching.teach(teaching.format_of(chat_templates.tokenizer(family)), text, Shape.TEXT, limit, ends=ends)


def test_passage_teaches_all_but_its_first_token() -> None:
    text = "The cat sat, naïve — 猫 sat."
    row = passage("base", text)
    assert not row.taught[0] and row.taught[1:].all()
    assert row.parts[-1] == "<|endoftext|>" and "".join(row.parts) == text + "<|endoftext|>"
    assert row.n_bytes == len(text.encode()) - len(row.parts[0].encode())
    inside = passage("base", text, ends=False)
    assert list(inside.ids) == list(row.ids[:-1]) and inside.n_bytes == row.n_bytes


def test_start_token_lets_the_first_word_be_taught() -> None:
    row = passage("llama3", "The cat sat.")
    assert row.parts[0] == "<|begin_of_text|>" and row.n_bytes == len("The cat sat.")
    assert row.parts[-1] == "<|eot_id|>"


def test_passage_without_end_token_ends_with_its_text() -> None:
    assert "".join(passage("bare", "The cat").parts) == "The cat"


def test_empty_passage() -> None:
    assert passage("bare", "").n_taught == 0 and passage("base", "").n_taught == 0


def test_tokenizer_that_closes_texts_itself_does_not_close_passages() -> None:
    """BERT's way: [CLS] … [SEP]; a passage that goes on has no [SEP]."""
    from tests import tiny

    format = teaching.format_of(tiny.tokenizer())
    row = teaching.teach(format, "goal match", Shape.TEXT, 10, ends=False)
    assert row.parts == ["[CLS]", "goal", " match"] and list(np.flatnonzero(row.taught)) == [1, 2]
