"""User patterns: what they match, and that none of them can hold a process."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import patterns
from core.domain import freeze
from core.domain.model import Block, LinearLayer
from core.domain.targets import lora_targets
from core.errors import PatternError

NAMES = ["layer.0.attention.self.query", "layer.0.attention.self.value", "layer.1.output.dense", "embeddings.LayerNorm"]
HOSTILE = (r"(a+)+$", r"(.*)*(.*)*(.*)*(.*)*x", r"(?:a|aa)+$", r"(a|a)*b", r"((a{60}){60}){60}", "(" * 250,
           r"([a-z]+)*$", r"(x+x+)+y")


def test_a_pattern_is_found_anywhere_in_a_name() -> None:
    assert patterns.matching("query|value", NAMES, what="LoRA target") == NAMES[:2]
    assert patterns.matching(r"^layer\.\d+\.output", NAMES, what="LoRA target") == NAMES[2:3]
    assert patterns.matching("LayerNorm$", NAMES, what="LoRA target") == NAMES[3:]


@given(st.sampled_from(["query", "layer", "dense", r"\.", "self", "[ae]", "o+"]),
       st.sampled_from(["", "$", "|value", ".*"]))
def test_plain_patterns_mean_what_they_mean_in_python(head: str, tail: str) -> None:
    pattern = head + tail
    assert patterns.matching(pattern, NAMES, what="pattern") == [name for name in NAMES if re.search(pattern, name)]


@pytest.mark.parametrize("pattern", ["[", "(?<!x)bias", r"(a)\1", "a" * 301, "*", "a{99999}"])
def test_what_is_no_pattern_is_said_in_three_parts(pattern: str) -> None:
    with pytest.raises(PatternError) as caught:
        patterns.matcher(pattern, what="LoRA target")
    assert caught.value.why and "query|value" in caught.value.remedy


def test_no_pattern_holds_the_process() -> None:
    """In a child with 10 s of processor time and 1 GiB of memory, which `re` exceeds on the first of them."""
    code = ("import resource, sys\n"
            "resource.setrlimit(resource.RLIMIT_CPU, (10, 10))\nresource.setrlimit(resource.RLIMIT_AS, (1 "
            "<< 30,) * 2)\nfrom core import patterns\nfrom core.domain import freeze\nfrom core.errors import "
            f"PatternError\nfor pattern in {HOSTILE!r}:\n"
            "    for name in ('a' * 5000 + '!', 'x' * 5000):\n"
            "        try:\n            patterns.matcher(pattern, what='pattern')(name)\n"
            "        except PatternError:\n            pass\n"
            "for spec in ('0-99999999999', '9' * 5000, '5-2'):\n"
            "    try:\n        freeze.parse(spec, ['embeddings', 'block 0', 'block 1', 'head'])\n"
            "    except PatternError:\n        continue\n"
            "    sys.exit(3)\n")
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_targets_and_freeze_plans_use_them() -> None:
    layers = tuple(LinearLayer(name=name, kind="attention", in_features=4, out_features=4) for name in NAMES[:3])
    block = Block(index=0, name="block 0", parameters=48, linear_layers=layers)
    assert [layer.name for layer in lora_targets([block], spec="query|value")] == NAMES[:2]
    with pytest.raises(PatternError, match="no layer that trains"):
        lora_targets([block], spec="nowhere")
    assert (freeze.parse("/block [01]$/", ["embeddings", "block 0", "block 1", "block 2", "head"]).frozen
            == ("block 0", "block 1"))
