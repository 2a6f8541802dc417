"""What a run's artifact can be loaded as; what it gives is tested with the runs that wrote it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.domain.side import Side, Which
from core.errors import NotFoundError, RecipeError
from core.settings import Settings
from core.training import artifact


def test_a_step_whose_checkpoint_is_gone_does_not_predict(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(NotFoundError, match="no weights of step 3"):
        artifact.load(Side.of(tmp_path, Which.STEP, 3), settings=settings)


def test_a_strength_that_no_model_has_is_refused_before_anything_is_read(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(RecipeError, match=r"strength 2"):
        artifact.load(replace(Side.of(tmp_path), strength=2.0), settings=settings)


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16),
                                                  ("fp16", torch.float16)])
def test_layers_in_four_bits_compute_in_the_precision_of_the_run(precision: str, dtype: torch.dtype) -> None:
    assert artifact.compute_dtype(precision) == dtype
