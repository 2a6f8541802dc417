"""Lists and objects that pandas wrote into the cells of a table, as Python and NumPy show them."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from typing import Any

BROKEN = (ValueError, SyntaxError, RecursionError, MemoryError, TypeError)
"""What `value` raises where a cell is no such value."""
_SIDE_BY_SIDE = re.compile(r"""['"]\s+['"]""")
_ENDS, _BEGINS = ("}", "]", ")"), ("{", "[", "(")
_PLAIN = (tokenize.STRING, tokenize.NUMBER)
_NOTHING = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def value(cell: str) -> Any:
    """The value of a cell as JSON has it, never running it. NumPy parts the values of a list by blanks, which Python
    would take for one text, and calls it `array([…], dtype=object)`. Raises one of `BROKEN`, also for what JSON has no
    word for, such as bytes."""
    return json.loads(json.dumps(_value(cell.strip())))


def _value(cell: str) -> Any:
    if _SIDE_BY_SIDE.search(cell) is None:
        try:
            return ast.literal_eval(cell)
        except (ValueError, SyntaxError):
            pass
    try:
        return ast.literal_eval(_with_commas(cell))
    except (tokenize.TokenError, IndentationError) as error:
        raise ValueError(str(error)) from error


def _with_commas(cell: str) -> str:
    """The cell with a comma between values that stand side by side, and its arrays as the lists in them."""
    written: list[str] = []
    arrays: list[bool] = []
    """Of each open parenthesis, whether it is that of an array."""
    before, skipping = "", False
    for kind, text, *_ in tokenize.generate_tokens(io.StringIO(cell).readline):
        if kind in _NOTHING or (skipping and text != ")"):
            continue
        if text == "(" or (text == ")" and arrays):
            skipping = False
            of_array = before == "array" if text == "(" else arrays.pop()
            if text == "(":
                arrays.append(of_array)
            if of_array:
                before = "" if text == "(" else ")"
                continue
        if kind == tokenize.NAME and text == "array":
            written += [","] if before in ("value", *_ENDS) else []
            before = text
            continue
        if kind == tokenize.NAME and text == "dtype" and written and written[-1] == ",":
            written.pop()
            skipping = True
            continue
        if before in ("value", *_ENDS) and (kind in _PLAIN or text in _BEGINS):
            written.append(",")
        written.append(text)
        before = "value" if kind in _PLAIN else text
    return " ".join(written)
