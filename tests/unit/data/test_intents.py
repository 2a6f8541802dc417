"""Texts with a class that are no tables (SNIPS, HateXplain, Rasa), and files with a tag for each word, which are
refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data import tables
from core.data.check import examine_file
from core.errors import DataError
from core.settings import Settings

Archive = Callable[..., Path]
File = Callable[[str, str | bytes], Path]
N = 24


def q(i: int) -> str:
    return f"Who saw the comet of {1800 + i} from the hill 0?"


def pieces(intent: str, n: int) -> str:
    return json.dumps({intent: [{"data": [{"text": "please do "}, {"text": f"{intent} {i}", "entity": "x"}]}
                                for i in range(n)]})


def test_texts_in_pieces(archive: Archive, settings: Settings) -> None:
    """SNIPS: a file a class and split."""
    path = archive({f"{intent}/{part}_{intent}.json": pieces(intent, n).encode() for intent in ("Play", "Rate")
                    for part, n in (("train", 12), ("validate", 6))})
    found = examine_file(path, settings=settings)
    assert found.report.classes == {"Play": 18, "Rate": 18} and found.rows.text[0].as_py() == "please do Play 0"
    assert set(found.rows.split or ()) == {"train", "validation"}


def test_votes_of_people(file: File, settings: Settings) -> None:
    """HateXplain: rows on which nobody agrees are left out, and one that is damaged."""
    whole = {f"{i}_x": {"post_id": f"{i}_x", "rationales": [], "post_tokens": q(i).split(), "annotators": [
        {"label": label, "annotator_id": k, "target": ["None"]} for k, label in enumerate(
            ("normal", "hate", "other") if i == 3 else (("normal", "hate")[i % 2],) * 2 + ("other",))]}
        for i in range(N)} | {"bad": {"post_tokens": 3}}
    found = examine_file(file("dataset.json", json.dumps(whole)), settings=settings)
    assert found.report.classes == {"normal": 12, "hate": 11} and found.rows.text[0].as_py() == q(0)
    assert [(item.row, item.reason) for item in found.report.left_out] == [
        (4, "its annotators disagree, and no label has most votes"),
        (N + 1, "it is no text in words with labels")]


RASA = """version: "3.1"
nlu:
- intent: greet  # the first
  examples: |
    - hey
    - hello [Ann](name)
- intent: weather
  examples: |
    - rain in [Oslo]{"entity": "city", "role": "to"} today
    - note: cold
- synonym: oslo
  examples: |
    - OSL
- intent: bye
  metadata:
    sentiment: neutral
  examples:
  - text: |
      see you
    metadata:
      x: y
  - text: so long
rules:
- rule: Say goodbye
  steps:
  - intent: bye
  - action: utter_bye
"""
EXAMPLES = [("hey", "greet"), ("hello Ann", "greet"), ("rain in Oslo today", "weather"), ("note: cold", "weather"),
            ("see you", "bye"), ("so long", "bye")]


@pytest.mark.parametrize("name", ["nlu.yml", "nlu.yaml", "nlu.md", "nlu.json"])
def test_intents_of_rasa(name: str, file: File, settings: Settings) -> None:
    text = RASA
    if name == "nlu.md":
        text = "".join(f"## intent:{label}\n- {said}\n\n" for said, label in EXAMPLES) + "## synonym:oslo\n- OSL\n"
    elif name == "nlu.json":
        rows = [{"text": said, "intent": label, "entities": []} for said, label in EXAMPLES]
        text = json.dumps({"rasa_nlu_data": {"common_examples": [*rows, 7], "entity_synonyms": []}})
    table = tables.read(file(name, text), settings=settings)
    found = table.data.to_pylist()
    assert [(row["text"], row["label"]) for row in found] == EXAMPLES
    assert len(table.left_out) == (name == "nlu.json")
    assert [finding.code for finding in table.findings] == ([] if name == "nlu.json" else ["not-examples"])


@pytest.mark.parametrize("text", ["services:\n  - intent: a\n", "stories:\n- story: x\n  steps:\n  - intent: greet\n"])
def test_other_yaml_is_refused(text: str, file: File, settings: Settings) -> None:
    with pytest.raises(DataError, match="a YAML file"):
        tables.read(file("t.yml", text), settings=settings)


# -- tags of words -----------------------------------------------------------------------------------------------------

CONLL = "-DOCSTART- -X- -X- O\n\n" + "".join(f"EU NNP B-NP B-ORG\nsaw VBZ B-VP O\ncomet{i} NN I-NP O\n. . O O\n\n"
                                             for i in range(N))
UNIVERSAL = "".join(f"# text = He saw {i}.\n" + "".join(
    f"{k}\t{word}\t{word}\tX\tY\t_\t0\troot\t_\t_\n" for k, word in enumerate(("He", "saw", str(i)), start=1)) + "\n"
                    for i in range(N))
KAGGLE = "Sentence #,Word,POS,Tag\n" + "".join(f"{f'Sentence: {i}' if i % 4 == 0 else ''},word{i},NN,"
                                               f"{('O', 'B-geo', 'I-geo', 'O')[i % 4]}\n" for i in range(80))


@pytest.mark.parametrize(("name", "text"), [
    ("eng.train", CONLL), ("eng.txt", CONLL), ("eng.conll", CONLL), ("a.tsv", CONLL.replace(" ", "\t")),
    ("a.bio", "".join(f"B-who\tAnn{i}\nO\tsleeps\n\n" for i in range(9))), ("en.conllu", UNIVERSAL),
    ("en.txt", UNIVERSAL), ("cut.txt", CONLL[: len(CONLL) // 2]), ("ner.csv", KAGGLE), ("x.conll", "nothing")])
def test_tags_of_words_are_refused_by_name(name: str, text: str, file: File, settings: Settings) -> None:
    with pytest.raises(DataError, match="a tag for each word") as caught:
        tables.read(file(name, text), settings=settings)
    assert caught.value.why and caught.value.remedy


def test_ten_columns_and_blank_lines_are_a_table(file: File, settings: Settings) -> None:
    rows = "".join(f"{i}\t{q(i)}" + "\tx" * 8 + "\n\n" * (i % 2 + 1) for i in range(1, N))
    assert len(tables.read(file("t.tsv", rows), settings=settings).columns) == 10


@pytest.mark.parametrize("text", [
    pieces("Play", 9), json.dumps({"1": {"post_tokens": ["a"], "annotators": [{"label": "x"}]}})])
def test_a_document_that_is_cut_off_is_refused(text: str, file: File, settings: Settings) -> None:
    with pytest.raises(DataError, match="not valid JSON") as caught:
        tables.read(file("t.json", text[: len(text) // 2]), settings=settings)
    assert caught.value.remedy
