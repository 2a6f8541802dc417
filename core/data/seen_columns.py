"""What the columns of a table look like, for the forms that rows for language models may have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from core.data import roles as role_finder
from core.data.languages import NAMES
from core.data.readers.chat_json import CONTENT_KEYS, HOLDERS, SPEAKER_KEYS, listed
from core.data.readers.table import Table
from core.data.roles import ColumnFacts, Proposal, column_facts, sample
from core.data.turns import NoConversation, value_of
from core.domain.dataset import Role

PAIRS = (
    ("instruction", ("output", "response", "completion", "answer", "chosen")),
    ("prompt", ("completion", "response", "output", "answer", "reply", "chosen", "canonical solution", "code")),
    ("question", ("answer", "response", "reply", "output", "chosen", "solution", "best answer", "long answer",
                  "response j")),
    ("inputs", ("targets", "outputs")),
    ("input", ("output", "response", "completion", "answer", "chosen", "target")),
    ("query", ("response", "answer", "reply", "output")),
    ("user", ("assistant", "bot", "model")),
    ("human", ("assistant", "gpt", "bot")),
    ("problem", ("solution", "answer")),
    ("input text", ("output text", "target text")),
    ("message 1", ("message 2",)),
)
"""What a column of prompts is called -> what that of its responses is called, the likeliest first."""
SUMMARIES = (("dialogue", ("summary",)), ("dialog", ("summary",)), ("article", ("highlights", "summary")),
             ("document", ("summary", "highlights")), ("text", ("summary",)))
"""The same of texts and their summaries, which beside a label are read together."""
_SIDES = (("source", ("target",)), ("src", ("tgt", "trg")), ("text", ("code",)))
"""The same of what may also be where a row is from, its class or a number: a pair where both are texts."""
_LEAST_WORDS = 3
_FEW = 0.5
_CELLS = 60
"""Filled cells of a column that are looked into for turns."""


class SeenColumns:
    """What the columns of a table look like, for the forms."""

    def __init__(self, table: Table, base: Mapping[str, Proposal]) -> None:
        self.table, self.base = table, base
        self.free = [name for name in table.columns
                     if name not in table.unusable and base[name].role not in (Role.SPLIT, Role.IMAGE)]
        self.facts: dict[str, ColumnFacts] = {name: column_facts(table, name) for name in self.free}
        self.label = next((name for name, p in base.items() if p.role is Role.LABEL), None)
        self.lost_label = any(role_finder.is_named(name, Role.LABEL) and not (name in self.facts and
                                                                              self.facts[name].filled)
                              for name in (*table.columns, *table.unusable))
        """Whether a column that is named like a label is empty, or cannot be used."""
        self.turns = dict(sorted(self._turns(), key=lambda item: _rank(item[0])))
        """Columns that hold conversations -> which keys their turns have."""
        self.pair = self._pair()
        if self.pair and self.pair[0] in self.turns:                 # a list of turns in each, as trl writes them
            both = self.pair[1] in self.turns
            self.turns = {name: keys for name, keys in self.turns.items() if not both or name not in self.pair}
            self.pair = self.pair if both else None

    @property
    def marked(self) -> bool:
        """Whether the conversations were found by the marks in texts that may be meant otherwise."""
        return any(finding.code == "marks-read" for finding in self.table.findings)

    def says_yes_or_no(self, name: str) -> bool:
        """Whether the sampled cells of a column are 0 and 1, or true and false."""
        return {cell.strip().lower() for cell in sample(self.table, name)} in ({"0", "1"}, {"true", "false"})

    def named(self, *names: str) -> str | None:
        """The first column called like one of these, the likeliest name first."""
        called = {role_finder.plain_name(name): name for name in reversed(self.free) if self.facts[name].filled}
        return next((called[name] for name in names if name in called), None)

    def _turns(self) -> Iterator[tuple[str, str]]:
        for name in self.free:
            cells = [cell for cell in sample(self.table, name) if cell.strip()][:_CELLS]
            there = [cell for cell in cells if cell.lstrip()[:1] in ("[", "{")]
            found = [turns for cell in there if (turns := _listed(cell))]
            like = role_finder.plain_name(name) in HOLDERS
            if found and "reject" not in name.casefold() and (len(found) >= len(cells) / 2 or like):
                first = next(turn for turns in found for turn in turns if isinstance(turn, dict))
                yield name, " and ".join(key for key in (*SPEAKER_KEYS, *CONTENT_KEYS) if key in first)

    def _pair(self) -> tuple[str, str] | None:
        for prompt, responses in (*PAIRS, *(SUMMARIES if self.label is None else ())):
            one, other = self.named(prompt), self.named(*responses)
            if one and other:
                return one, other
        for side, sides in _SIDES:
            one, other = self.named(side), self.named(*sides)
            if one and other and self.label in (None, other) and min(
                    self.facts[one].mean_words, self.facts[other].mean_words) >= _LEAST_WORDS:
                return one, other
        return self._translation()

    def _translation(self) -> tuple[str, str] | None:
        """The two columns that are named after languages, in the order of the file; None where there are not two."""
        found = [name for name, fact in self.facts.items() if fact.filled and fact.numbers < _FEW
                 and role_finder.plain_name(name.rpartition(".")[2]) in NAMES]
        return (found[0], found[1]) if len(found) == 2 and self.label is None else None

    @property
    def first_turns(self) -> str | None:
        return next(iter(self.turns), None)


def _listed(cell: str) -> list[object] | None:
    try:
        return listed(value_of(cell[:200_000]))
    except NoConversation:
        return None


def _rank(name: str) -> int:
    plain = role_finder.plain_name(name)
    return HOLDERS.index(plain) if plain in HOLDERS else len(HOLDERS)
