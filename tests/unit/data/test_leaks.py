"""Groups of rows and leaks between splits."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.data import leaks

ROWS = st.lists(st.tuples(st.sampled_from(["train", "validation", "test", "shift"]), st.integers(0, 8),
                          st.integers(0, 8)), max_size=60)


@given(ROWS)
def test_fixing_leaves_no_leak_and_touches_nothing_else(rows: list[tuple[str, int, int]]) -> None:
    split, code = np.asarray([r[0] for r in rows], dtype="<U10"), np.asarray([r[1] for r in rows], dtype=np.int64)
    leaked = leaks.leaks(split, code)
    fixed = leaks.fix_leaks(split, code)
    assert len(leaks.leaks(fixed, code)) == 0
    assert np.flatnonzero(fixed != split).tolist() == leaked.tolist()
    for position in leaked:
        twins = set(split[code == code[position]].tolist())
        assert fixed[position] == ("train" if "train" in twins else "validation")


@given(ROWS)
def test_merged_groups_join_what_either_joins_and_nothing_more(rows: list[tuple[str, int, int]]) -> None:
    first, second = np.asarray([r[1] for r in rows], dtype=np.int64), np.asarray([r[2] for r in rows], dtype=np.int64)
    merged = leaks.merge_groups(first, second)
    for part in (first, second):
        for value in set(part.tolist()):
            assert len(set(merged[part == value].tolist())) == 1
    for value in set(merged.tolist()):                               # one group is connected through the two groupings
        inside = np.flatnonzero(merged == value)
        reached = {int(inside[0])}
        while grown := {int(i) for i in inside if i not in reached
                        and any(first[i] == first[j] or second[i] == second[j] for j in reached)}:
            reached |= grown
        assert reached == set(inside.tolist())


def test_members_of_a_very_large_group_stand_alone() -> None:
    code = np.asarray([0] * 60 + [1] * 3 + list(range(2, 39)), dtype=np.int64)
    found = leaks.without_large_groups(code)
    assert len(set(found[:60].tolist())) == 60
    assert len(set(found[60:63].tolist())) == 1
    assert not set(found[:60].tolist()) & set(found[60:].tolist())
