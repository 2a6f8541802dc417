"""WiSE-FT: full fine-tuning and then halfway back, in everything that a run leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from core.domain.dataset import Dataset
from core.domain.recipe import HeadInit
from core.domain.side import Side
from core.models import methods
from core.settings import Settings
from core.training import artifact
from tests.conftest import Notes
from tests.unit.training.test_execute import make, predictions, run

WEIGHTS, HEAD, START = "weights.safetensors", "head.safetensors", "base_head.safetensors"


def of(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return load_file(folder / "artifact" / name)


def test_all_weights_are_the_mean_of_the_start_and_of_what_full_fine_tuning_made(
        settings: Settings, tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    """The same seed takes the same steps and keeps the same one; what is saved, and what is judged, is the mean."""
    notes, full = Notes(), Notes()
    recipe = make(tiny_dataset, tiny_model, "wise_ft", head_init=HeadInit.RANDOM)  # which is no choice here
    halfway = run(recipe, settings, tmp_path / "halfway", notes)
    whole = run(make(tiny_dataset, tiny_model, "full"), settings, tmp_path / "full", full)
    assert [seen["loss"] for seen in notes.evaluations] == [seen["loss"] for seen in full.evaluations]
    assert halfway.best_step == whole.best_step and halfway.trainable_params == whole.trainable_params
    published = load_file(tiny_model / "model.safetensors")
    trained, mean = of(tmp_path / "full", WEIGHTS), of(tmp_path / "halfway", WEIGHTS)
    assert set(mean) == set(trained)
    for name, value in mean.items():
        torch.testing.assert_close(value, (published[name] + trained[name]) / 2, rtol=1e-6, atol=1e-7)
    start, end = of(tmp_path / "halfway", START), of(tmp_path / "full", HEAD)
    for name, value in of(tmp_path / "halfway", HEAD).items():
        torch.testing.assert_close(value, (start[name] + end[name]) / 2, rtol=1e-6, atol=1e-7)
    assert any("halfway back" in note for note in notes.notes)
    for split in ("test", "validation"):  # validation rows too are said by the mean, not by the step that was chosen
        assert not np.array_equal(predictions(tmp_path / "halfway", split)["probabilities"],
                                  predictions(tmp_path / "full", split)["probabilities"])
    # the strength dial of the full run, at one half, is this very model
    texts = ["the team goal", "bank market share price"]
    dialled, mixed = (artifact.load(side, settings=settings).outputs(texts)["logits"] for side in (
        Side(run=str(tmp_path / "full"), strength=0.5), Side.of(tmp_path / "halfway")))
    np.testing.assert_allclose(mixed, dialled, atol=1e-5)


def test_what_trains_goes_halfway_back() -> None:
    """The hook by itself, on numbers."""
    network = _Two()
    start = {name: value.clone() for name, value in network.trained_state().items()}
    with torch.no_grad():
        network.weight += 4.0
    finish = methods.get("wise_ft").after_training
    assert finish is not None
    sentence = finish(network, start)  # type: ignore[arg-type]
    assert "validation" in sentence
    torch.testing.assert_close(network.weight.detach(), start["weight"] + 2.0)


class _Two(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(3.0))

    def trained_state(self) -> dict[str, torch.Tensor]:
        return {"weight": self.weight.detach()}

    def load_trained(self, state: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            self.weight.copy_(state["weight"])
