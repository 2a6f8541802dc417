"""Metrics of language models against formulas and counts by hand; rows in groups."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import DataError
from core.metrics import REGISTRY, Judged, arms, measure, primary, values
from core.metrics.paired import RightOrWrong, by_metric


def uniform(vocabulary: int) -> Judged:
    """What a model says to which all tokens are equally likely."""
    tokens = np.array([3, 10, 7])
    return Judged(losses=tokens * np.log(vocabulary), tokens=tokens, bytes=np.array([9, 41, 30]),
                  right=np.zeros(3), exact=np.zeros(3), ends=np.array([0, 1, 0]))


@pytest.mark.parametrize("vocabulary", [2, 256, 49_152])
def test_numbers_of_a_uniform_model(vocabulary: int) -> None:
    found = values(uniform(vocabulary))
    assert found["loss"] == pytest.approx(np.log(vocabulary))
    assert found["perplexity"] == pytest.approx(vocabulary)
    assert found["bits_per_byte"] == pytest.approx(20 * np.log2(vocabulary) / 80)
    assert found["token_accuracy"] == found["exact_match"] == 0 and found["ends_properly"] == pytest.approx(1 / 3)


def test_every_byte_a_token_costs_as_many_bits_as_a_byte_has() -> None:
    found = values(Judged(losses=np.array([5 * np.log(256)]), tokens=np.array([5]), bytes=np.array([5])))
    assert found["bits_per_byte"] == pytest.approx(8.0)


def test_loss_is_over_tokens_not_over_rows() -> None:
    judged = Judged(losses=np.array([1.0, 30.0]), tokens=np.array([1, 10]), right=np.array([1, 4]))
    found = values(judged)
    assert found == {"loss": pytest.approx(31 / 11), "token_accuracy": pytest.approx(5 / 11),
                     "perplexity": pytest.approx(np.exp(31 / 11))}
    assert primary(found) is REGISTRY["loss"]


def test_answers_of_a_closed_set_count_alike() -> None:
    """Nine times yes, all right; once no, wrong: half."""
    judged = Judged(exact=np.array([1] * 9 + [0]), answers=np.array([0] * 9 + [1]))
    assert values(judged) == {"exact_match": pytest.approx(0.9), "answer_accuracy": pytest.approx(0.5)}


def grouped(offset: float = 0.0) -> Judged:
    """40 rows of 4 books; rows of a book are alike, books are not."""
    groups = np.repeat(np.arange(4), 10)
    tokens = np.full(40, 100)
    return Judged(losses=tokens * (3.0 + 0.2 * groups + offset), tokens=tokens, bytes=tokens * 4, groups=groups)


def test_interval_is_over_groups() -> None:
    by_group = measure(grouped())["loss"]
    rows = Judged(losses=grouped().losses, tokens=grouped().tokens, bytes=grouped().bytes)
    by_row = measure(rows)["loss"]
    assert by_group.value == by_row.value == pytest.approx(3.3)
    # of four equal books: the spread of the mean is 0.2236 / sqrt(4); of 40 rows 0.2236 / sqrt(40)
    assert by_group.high - by_group.low == pytest.approx(2 * 1.96 * 0.2236 / 2, rel=0.15)
    assert by_row.high - by_row.low == pytest.approx(2 * 1.96 * 0.2236 / np.sqrt(40), rel=0.15)


def test_groups_of_one_row_are_rows() -> None:
    judged = grouped()
    alone = Judged(losses=judged.losses, tokens=judged.tokens, groups=np.arange(40))
    bare = Judged(losses=judged.losses, tokens=judged.tokens)
    assert measure(alone) == measure(bare)


def test_two_runs_are_paired_by_loss_over_groups() -> None:
    """A difference that is the same in every book is certain, however much books differ."""
    found = by_metric(REGISTRY["loss"], grouped(), grouped(0.05), name_a="lora", name_b="base")
    assert found.difference.value == pytest.approx(-0.05)
    assert found.difference.low == pytest.approx(-0.05) and found.difference.high == pytest.approx(-0.05)
    assert found.sentence.startswith("lora is better than base on these 40 rows: its loss is lower by 0.050")
    assert "4 groups of rows" in found.how
    noise = np.random.default_rng(0).normal(0, 30, 40)
    other = Judged(losses=grouped().losses + noise, tokens=grouped().tokens, groups=grouped().groups)
    assert "do not tell" in by_metric(REGISTRY["loss"], grouped(), other).sentence
    close = Judged(losses=grouped().losses + noise / 1e4, tokens=grouped().tokens, groups=grouped().groups)
    said = by_metric(REGISTRY["loss"], grouped(), close).sentence
    assert "0.000 " not in said and "0.000," not in said and "0.000)" not in said, said


def test_exact_match_of_grouped_rows_is_no_row_test() -> None:
    """McNemar's test takes rows for independent."""
    a, b = np.array([1, 1, 1, 0] * 5), np.array([1, 0, 0, 0] * 5)
    alone = by_metric(REGISTRY["exact_match"], Judged(exact=a), Judged(exact=b))
    together = by_metric(REGISTRY["exact_match"], Judged(exact=a, groups=np.arange(20) // 4),
                         Judged(exact=b, groups=np.arange(20) // 4))
    assert isinstance(alone, RightOrWrong) and not isinstance(together, RightOrWrong)
    assert together.difference.value == alone.difference.value == pytest.approx(0.5)


def test_seeds_are_pooled_over_groups() -> None:
    judged = [grouped(), grouped(0.02)]
    found = arms.mean(REGISTRY["loss"], judged)
    assert found.value == pytest.approx(3.31) and found.high - found.low > 0.3


def test_groups_must_fit_the_rows() -> None:
    with pytest.raises(DataError, match="cannot be scored"):
        Judged(exact=np.ones(3), groups=np.zeros(2, int))
