"""What a run leaves to be used: head, label map, processor, and an adapter or the weights that changed.

`load` builds a side from disk: the base model with the solved probe as its head, or the tuned model from the run's own
artifact.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from core import files, tasks
from core.analysis import strength_files as points
from core.domain import codec, document_versions
from core.domain.dataset import Depth, RowSource, Shape
from core.domain.model import Weights
from core.domain.recipe import Recipe
from core.domain.run import Labels
from core.domain.side import Side, Which
from core.domain.strength import Turn
from core.errors import DataError, NotFoundError
from core.models import adapters, blocks, methods, origin
from core.models import facts as facts_module
from core.models import inspect as model_inspect
from core.models.network import Network
from core.settings import Settings
from core.tasks.base import Objective, Outputs, Rows, SolvedHead
from core.training import checkpoints, evaluate, strength
from core.training.inputs import Inputs

LABELS_FILE, HEAD_FILE, BASE_HEAD_FILE, WEIGHTS_FILE, ADAPTER = (
    "labels.json", "head.safetensors", "base_head.safetensors", "weights.safetensors", "adapter")
UNTRAINED = {Which.BASE: Weights.PRETRAINED, Which.FOUR_BIT: Weights.FOUR_BIT}
"""Sides that hold nothing of a run's training -> how their weights are held."""
T = TypeVar("T")
SOURCE_FILE = "source.json"
"""Where the rows came from (`RowSource`): columns, template, depth of pictures."""


def save(folder: Path, *, task: Objective, network: Network, recipe: Recipe, base_head: SolvedHead | None,
         precision: str) -> int:
    """Write the artifact; returns its bytes. base_head: the solved one, the head of the base side."""
    card = methods.get(recipe.method).card
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.detach().cpu().contiguous() for name, value in network.head.state_dict().items()},
              folder / HEAD_FILE)
    if base_head is not None:
        save_file({name: torch.from_numpy(value) for name, value in base_head.tensors().items()},
                  folder / BASE_HEAD_FILE)
    if card.adapter:
        network.body.save_pretrained(folder / ADAPTER, safe_serialization=True)  # type: ignore[operator]
    else:
        body = {name.removeprefix("body."): tensor for name, tensor in network.trained_state().items()
                if name.startswith("body.")}
        if body:
            save_file(body, folder / WEIGHTS_FILE)
    about = {document_versions.KEY: Labels.schema_version, **task.save(folder), "precision": precision}
    (folder / LABELS_FILE).write_text(json.dumps(about), encoding="utf-8")
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and "processor" not in path.parts
               and path.name != BASE_HEAD_FILE)


@dataclass(kw_only=True)
class LoadedModel:
    """A side, loaded from disk: the base model with the solved head, or the tuned model."""

    task: Objective
    network: Network
    recipe: Recipe
    precision: str
    settings: Settings
    depth: Depth | None = None
    """Which values of pictures of more than 8 bits became black and white in the training data."""

    def outputs(self, content: list[str]) -> Outputs:
        """What the network says of texts or picture paths, one entry a row."""
        with self.inputs(content) as inputs:
            return evaluate.outputs(inputs, np.arange(len(content)))

    @contextmanager
    def inputs(self, content: list[str]) -> Iterator[Inputs]:
        """Texts or picture paths as the network reads them; gone with the block."""
        import tempfile

        facts = model_inspect.facts_of(self.recipe.base_model, settings=self.settings)
        count = len(content)
        rows = Rows(row_ids=np.arange(count), content=content, labels=np.full(count, -1), splits=np.full(count, "test"),
                    dataset_hash="ad hoc", depth=self.depth, shape=getattr(self.task, "shape", Shape.TEXT))
        with tempfile.TemporaryDirectory() as cache:
            encoded = self.task.encode(rows, recipe=self.recipe, facts=facts, cache=Path(cache))
            yield Inputs(task=self.task, network=self.network, rows=rows, encoded=encoded, precision=self.precision)

    def answers(self, prompts: list[str], *, most: int = 128) -> list[dict[str, Any]]:
        """{"answer", "ended", "tokens"} for each: what a language model says next, taking the likeliest token each
        time; see `generate.greedily`."""
        from core.training import generate

        said = (generate.greedily(self.network, self.task, prompt, precision=self.precision, most=most)
                for prompt in prompts)
        return [{"answer": found.pop("text"), **found} for found in said]

    def predict(self, content: list[str]) -> list[dict[str, Any]]:
        """The task's answer for each row, in words."""
        return self.task.samples(self.outputs(content)) if content else []


def load(side: Side, *, settings: Settings, device: str | None = None, precision: str | None = None) -> LoadedModel:
    """The model of a finished run, named by its folder: after training, or (`Which.BASE`, in 4 bits `Which.FOUR_BIT`)
    the pretrained body as published with the probe's head, nothing of this run's training.

    precision: to compute in, instead of that of the run. A strength turns what the run changed up or down; at 0 it is
    the base model that the run started from (in 4 bits where it trained beside such weights).

    `Which.STEP` is the run as it was at a step whose weights are kept; see `kept_steps`.

    Raises NotFoundError when the run left no artifact, or has no such side to predict with (a step without
    weights, the base side of a run from scratch); RecipeError when the base model's files are not those that the run
    was trained on, or for a strength that it does not have.
    """
    turn = points.turn_of(side)
    if not turn.as_trained:
        model, found = dials(side, settings=settings, device=device, precision=precision)
        found.turn(turn)
        return model
    base = side.which in UNTRAINED
    model, folder = _started(side, settings, device, precision)
    network = model.network
    if tasks.card(model.recipe.task).new_head or not base:  # else the base model's own head is there
        network.head.load_state_dict(load_file(folder / (BASE_HEAD_FILE if base else HEAD_FILE)))
    if not base:
        _load_body(network, folder, network.device.type)
    if side.which is Which.STEP:
        network.load_trained(load_file(checkpoints.of_step(side.folder, side.step)))
    network.eval()
    return model


def dials(side: Side, *, settings: Settings, device: str | None = None,
          precision: str | None = None) -> tuple[LoadedModel, strength.Dials]:
    """The model of a finished run, as trained, with the dials that turn its change. Raises what `load` raises."""
    model, folder = _started(Side(run=side.run), settings, device, precision)
    points.check(model.recipe)
    base_head = folder / BASE_HEAD_FILE
    found = strength.Dials(model.network, weights=folder / WEIGHTS_FILE, adapter_folder=folder / ADAPTER,
                           adapter=methods.get(model.recipe.method).card.adapter, head=load_file(folder / HEAD_FILE),
                           base_head=load_file(base_head) if base_head.is_file() else None)
    found.turn(Turn())
    model.network.eval()
    return model, found


def _started(side: Side, settings: Settings, device: str | None,
             precision: str | None) -> tuple[LoadedModel, Path]:
    """The network that a run started from, with its task and recipe, and the folder of what the run left; the head is
    still to be put on."""
    if side.which is Which.STEP:
        checkpoints.of_step(side.folder, side.step)
    run_dir, base = side.folder, side.which in UNTRAINED
    folder = run_dir / "artifact"
    if not (folder / LABELS_FILE).is_file():
        raise NotFoundError("This run has no artifact yet.", why=f"{folder.name}/ is missing in its folder.",
                            remedy="Wait until the run is done, or resume it.")
    recipe = _read(run_dir / "recipe.json", Recipe.from_json)
    about = _read(folder / LABELS_FILE,
                  lambda data: document_versions.forward(data, now=Labels.schema_version, what="labels")
                                                     | {"precision": str(data["precision"])})
    precision = precision or about["precision"]
    solved = tasks.card(recipe.task).new_head
    if base and solved and not (folder / BASE_HEAD_FILE).is_file():
        raise NotFoundError("This run has no base side to predict with.",
                            why="It started from a random head, so no head was fitted on the base model's features.",
                            remedy="Run the method probe on the same data, or fork this run with the head initialised "
                                   "from the probe.")
    origin.of(run_dir).check_model(recipe.base_model, settings)
    facts = model_inspect.facts_of(recipe.base_model, settings=settings)
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    card = methods.get(recipe.method).card
    task = _read(folder / LABELS_FILE, lambda data: tasks.get(recipe.task).load(folder, data))
    network = task.build(facts_module.folder(recipe.base_model, settings), recipe=recipe, facts=facts,
                         weights=UNTRAINED.get(side.which, card.weights), dropout=0.0,
                         compute_dtype=compute_dtype(precision), device=where)
    return LoadedModel(task=task, network=network, recipe=recipe, precision=precision, settings=settings,
                       depth=_depth(folder)), folder


def _depth(folder: Path) -> Depth | None:
    """None for a run of an earlier version."""
    if not (folder / SOURCE_FILE).is_file():
        return None
    source = _read(folder / SOURCE_FILE, lambda data: codec.read(RowSource, data))
    return source.reading.depth if source.reading else None


def _read(path: Path, parse: Callable[[Any], T]) -> T:
    """A JSON file of the run. Raises DataError, naming the file, when it is damaged."""
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"{path.name} of this run cannot be read.", why=f"It is damaged ({str(error)[:100]}).",
                        remedy="Fork the run, or run its recipe again, to make it anew.") from error


def _load_body(network: Network, folder: Path, device: str) -> None:
    if (folder / ADAPTER).is_dir():
        adapters.read(network, folder / ADAPTER, device=device)  # computed as in training, so that rounding is the same
    if (folder / WEIGHTS_FILE).is_file():
        state = load_file(folder / WEIGHTS_FILE)
        own = dict(network.body.named_parameters()) | dict(network.body.named_buffers())
        with torch.no_grad():
            for name, tensor in state.items():
                if own[name].dtype != tensor.dtype:  # held in 16 bits on a GPU, as it was published
                    own[name].data = own[name].data.to(tensor.dtype)
                own[name].copy_(tensor)


def moved_blocks(run_dir: Path, network: Network) -> set[str]:
    """Blocks of the run's network (as loaded) that may differ from the model it started from: the artifact holds a
    weight of them."""
    names = list(network.body.state_dict())
    for file in (WEIGHTS_FILE, f"{ADAPTER}/adapter_model.safetensors"):
        if (path := run_dir / "artifact" / file).is_file():
            with safe_open(path, framework="pt") as saved:
                tensors = list(saved.keys())
            # adapter tensors lie inside the blocks, and a name counts where it stands in the body
            users = blocks.users_of(list(dict.fromkeys([*names, *tensors])), network.stack)
            return {block for name in tensors for block in users[name]}
    return set()


def compute_dtype(precision: str) -> torch.dtype:
    """The type 4-bit layers compute in."""
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON by rename."""
    files.write_json(path, codec.to_json(value))
