"""Patterns that users type, over names of layers, parameters and blocks.

They are matched by RE2, which takes time linear in the name and bounded memory whatever the pattern
(https://github.com/google/re2/wiki/WhyRE2): a pattern from a browser cannot hold the server, as it could with `re`.
The syntax is that of `re` but for look-around and back-references.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from core.errors import PatternError

MAX_LENGTH = 300
"""Characters of a pattern."""
_MAX_MEMORY_BYTES = 8 << 20


def matching(pattern: str, names: Iterable[str], *, what: str) -> list[str]:
    """Those of `names` in which the pattern is found anywhere, in order.

    what: what the pattern is for, as the error calls it. Raises PatternError when it is no pattern.
    """
    found = matcher(pattern, what=what)
    return [name for name in names if found(name)]


def matcher(pattern: str, *, what: str) -> Callable[[str], bool]:
    """A function that says whether the pattern is found in a name; PatternError when it is no pattern."""
    import re2

    if len(pattern) > MAX_LENGTH:
        raise PatternError(f"The {what} is too long.",
                           why=f"It has {len(pattern):,} characters; {MAX_LENGTH} are allowed.",
                           remedy="Use a shorter pattern, such as query|value.")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY_BYTES
    try:
        compiled = re2.compile(pattern, options=options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        raise PatternError(f"The {what} {pattern!r} is not a pattern that can be used.",
                           why="It was refused: "
                               f"{reason.decode(errors='replace') if isinstance(reason, bytes) else reason}.",
                           remedy="Use a regular expression without look-around and back-references, such "
                                  "as query|value.") from error
    return lambda name: compiled.search(name) is not None
