"""Words on the pages: one word for one thing, one spelling, names of tests one layer down, no flags of the command
line."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pages._ui.words import WORDS

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "pages").rglob("*.py"))
SPOKEN = [path for area in ("analysis", "api", "data/checks", "metrics", "models", "planning", "plots", "shift")
          for path in sorted((ROOT / "core" / area).rglob("*.py"))]
"""Parts of the core whose sentences stand on pages."""

FORBIDDEN = {
    r"\bartefacts?\b": "artifact",
    r"\bstages?\b": "block",
    r"\bcolor\b(?!=)|\bnormaliz|\bquantiz|\boptimizer\b": "British spelling",
    r"longest twentieth": "one in twenty",
    r"about (under|about)\b": "core.plots.numbers.about",
    r"McNemar|Mann.Whitney|Wilcoxon|\brank test\b|\bp-values?\b|\bp [=<] ": "a sentence; the test in `how`",
    r"(?:^|[\s(])--[a-z]{2,}": "what to press, not a flag",
    r"\bcheckpointing\b": "recompute activations",
}
"""What no text says -> what is said in its place."""
ALLOWED = {("words.py", "McNemar"), ("words.py", "p-value"), ("paired.py", "McNemar"), ("words.py", "p < "),
           ("server.py", " --server")}
"""The glossary, the layer below a sentence, and the answer to a machine that may not open a page."""


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every text of a file that may be shown: with a space in it, and not a docstring; of an f-string, the whole."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else f"{{{ast.unparse(part)[2:-1].strip('{}')}}}"
                     for part in node.values]
            skipped |= {id(part) for part in node.values}
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.lineno, node.value


@pytest.mark.parametrize("path", [*PAGES, *SPOKEN], ids=lambda path: str(path.relative_to(ROOT)))
def test_texts_use_the_words_of_the_glossary(path: Path) -> None:
    found = [f"{path.name}:{line}: {match[0]!r} in {text[:80]!r}: write {instead}"
             for line, text in texts(path) if " " in text and "export default" not in text
             for wrong, instead in FORBIDDEN.items() if (match := re.search(wrong, text, re.IGNORECASE))
             and not any(path.name == name and match[0].startswith(word) for name, word in ALLOWED)]
    assert found == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_estimated_times_say_about_once(path: Path) -> None:
    for line, text in texts(path):
        assert not re.search(r"about \**\{(numbers\.)?(roughly|about)", text), f"{path.name}:{line}: {text}"


def test_every_term_of_the_pages_is_explained() -> None:
    for term in ("probe accuracy", "block", "epoch", "interval", "CKA", "seed", "shift set", "artifact", "checkpoint",
                 "feature", "memory"):
        assert WORDS[term]
    for term, meaning in WORDS.items():
        assert len(meaning) < 300 and meaning.endswith((".", "…")), term
