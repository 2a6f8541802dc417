"""transformers.Trainer with Thaw's data order, parameter groups, small checkpoints and an Observer instead of logs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader
from transformers import (
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.integrations import TensorBoardCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from core.domain.recipe import PAGED_ADAMW, Recipe, steps_an_epoch
from core.domain.run import Observer
from core.errors import NonFiniteLossError
from core.metrics import merit
from core.models import held, methods
from core.models.blocks import block_of
from core.models.network import Network
from core.tasks.base import Outputs, Scored
from core.training import checkpoints, evaluate, forgetting, thawing
from core.training.checkpoints import BEST_FILE, ELAPSED_FILE, TRAINED_FILE
from core.training.inputs import Batch, Inputs, LengthBuckets
from core.training.replay import Replay

LOGS_PER_EPOCH = 50
LOSS_WEIGHT = 1e-3
"""Validation loss only breaks ties of the metric that decides, which may move in steps of one row."""
PROJECT = "thaw"
"""What trackers call the place of all runs."""
NO_DECAY = ("bias", "norm")


class ThawTrainer(Trainer):
    """The Trainer; see `build` for how it is set up."""

    control: Any
    optimizer: Any
    lr_scheduler: Any
    loss_is_scaled_for_ga = True
    """`compute_loss` gives each batch its share of the step, so that ragged batches count by what they teach."""

    def __init__(self, *, inputs: Inputs, recipe: Recipe, train: np.ndarray, validation: np.ndarray, observer: Observer,
                 elapsed: float, args: TrainingArguments) -> None:
        self.inputs = inputs
        self.recipe = recipe
        self.train_rows = train
        self.validation_rows = validation
        self.observer = observer
        self._outputs: dict[int, Outputs] = {}
        self.penalty: Callable[[int, float], float] | None = None
        """What the evaluation of a step with that loss loses in the choice of the checkpoint, for another reason."""
        self.replay: Replay | None = None
        """General texts that are read beside each batch."""
        self._batches = (-1, 0)
        """A step, and its batches so far."""
        self._best_kept: Outputs | None = None
        """What the network said where it scored best."""
        self.started = time.monotonic() - elapsed
        self.anchors = [(own, own.detach().clone()) for own in pulled(inputs.network, recipe)]
        self.sampler = LengthBuckets(train, inputs.encoded.lengths, batch_size=recipe.batch_size, seed=recipe.seed)
        super().__init__(model=inputs.network, args=args, train_dataset=_Indices(), eval_dataset=_Indices())
        for callback in (PrinterCallback, ProgressCallback):
            self.remove_callback(callback)
        self.add_callback(ObserverCallback(self))
        if recipe.early_stopping_patience and len(validation):
            self.add_callback(EarlyStoppingCallback(recipe.early_stopping_patience))

    @property
    def elapsed(self) -> float:
        """Seconds trained so far, over all attempts."""
        return time.monotonic() - self.started

    def get_train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(_Indices(), batch_sampler=self.sampler, collate_fn=self._collate)

    def _collate(self, rows: list[int]) -> Batch:
        return self.inputs.batch(np.asarray(rows), epoch=self.sampler.epoch)

    def _prepare_inputs(self, inputs: Any) -> Any:
        return self.inputs.on_device(inputs)

    def num_examples(self, dataloader: DataLoader[Any]) -> int:
        return len(self.train_rows)

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False,
                     num_items_in_batch: Any = None) -> Any:
        """The task's loss on what `model` says, which is the network as the Trainer has wrapped it. inputs: a batch."""
        outputs = self.inputs.run(inputs, model)
        loss = self.inputs.task.loss(outputs, inputs["targets"])
        if not torch.isfinite(loss):
            raise NonFiniteLossError(f"The loss became {loss.item()} at step {self.state.global_step + 1}.",
                                     why=f"The learning rate ({self.recipe.learning_rate:g}) is too high for this "
                                         f"model or precision ({self.inputs.precision}).")
        if self.replay is not None:
            loss = loss * (1 - self.replay.share)
        if self.args.gradient_accumulation_steps > 1 and num_items_in_batch:
            loss = loss * (self.inputs.task.weight(inputs["targets"]) / num_items_in_batch)
        return (loss, outputs) if return_outputs else loss

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """One batch, forwards and back. What it took then goes back to the system: of a batch of short rows the C
        library would keep it, and a batch of long ones, whose tensors it takes from elsewhere, come on top of that."""
        loss = super().training_step(*args, **kwargs)
        if self.replay is not None:
            loss = loss + self._rehearse(self.replay, args[0])
        if self.inputs.network.device.type == "cpu":
            held.give_back()
        return loss  # type: ignore[no-any-return]

    def _rehearse(self, replay: Replay, model: Any) -> torch.Tensor:
        """The general texts beside the batch, forwards and back; after it, so that the two take memory in turn."""
        step, before = self._batches
        now = before + 1 if step == self.state.global_step else 0
        self._batches = (self.state.global_step, now)
        place = self.state.global_step * self.args.gradient_accumulation_steps + now
        with forgetting.whole(self.inputs):
            with self.compute_loss_context_manager():
                loss = replay.share * replay.loss(place, model) / self.current_gradient_accumulation_steps
            self.accelerator.backward(loss)
        return loss.detach()

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Batch], int]:
        """The batches of a step, and what they teach together (rows, or tokens). The Trainer's own count looks for
        labels at the top of a batch, and knows tokens only."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        return batches, sum(self.inputs.task.weight(batch["targets"]) for batch in batches)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        return self.record(evaluate.outputs(self.inputs, self.validation_rows))

    def record(self, kept: Outputs) -> dict[str, float]:
        """Report this, said of the validation rows, as the evaluation of the step reached; kept while the step is the
        best."""
        best = self.state.best_global_step
        self._outputs = ({step: earlier for step, earlier in self._outputs.items() if step == best}
                         | {self.state.global_step: kept})
        found = evaluate.scores(self.inputs.task, kept, self.inputs.rows, self.validation_rows)
        selection = merit(found) - LOSS_WEIGHT * math.tanh(found["loss"])
        out = self.penalty(self.state.global_step, found["loss"]) if self.penalty is not None else 0.0
        metrics = ({f"eval_{name}": value for name, value in found.items()}
                   | {"eval_selection": selection - out, "eval_out": out})
        self.observer.evaluation(step=self.state.global_step, epoch=float(self.state.epoch or 0.0),
                                 samples=self.samples, seconds=self.elapsed, **found)
        if self.args.report_to and self.state.global_step:  # trackers hear of it as of any other log
            self.control = self.callback_handler.on_log(self.args, self.state, self.control,
                                                        {f"eval_{name}": value for name, value in found.items()})
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        """Whether this checkpoint becomes the one to keep: it is the best, or not distinguishable from the best and
        later.

        The learning rate falls to zero, so of checkpoints that validation cannot tell apart the later one has settled
        more.
        """
        before = self.state.best_global_step
        super()._determine_best_metric(metrics, trial)
        now = Scored(merit=metrics["eval_selection"], kept=self._outputs.get(self.state.global_step))
        if before is None or self.state.best_global_step != before:
            self._best_kept = now.kept
        elif metrics["eval_out"] > 0:  # as good on the task, but out of bounds
            return False
        best = Scored(merit=self.state.best_metric or 0.0, kept=self._best_kept)
        keep = self.inputs.task.as_good(now, best, self.inputs.rows, self.validation_rows)
        if keep:
            self.state.best_global_step = self.state.global_step
        return keep

    @property
    def best_outputs(self) -> Outputs | None:
        """What the network of the best step, which it is after training, said of the validation rows; None where an
        earlier attempt asked it."""
        return self._outputs.get(self.state.best_global_step) if self.state.best_global_step is not None else None

    @property
    def samples(self) -> int:
        """Training rows seen, with repetition; within an epoch, as if all its batches had the same size."""
        accumulation = self.recipe.gradient_accumulation
        epochs, steps = divmod(self.state.global_step, -(-len(self.sampler) // accumulation))
        return (epochs * len(self.train_rows)
                + min(steps * accumulation * self.recipe.batch_size, len(self.train_rows)))

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            groups = parameter_groups(self.inputs.network, self.recipe)
            if self.recipe.optimizer == PAGED_ADAMW:
                from bitsandbytes.optim import PagedAdamW8bit

                self.optimizer = PagedAdamW8bit(groups)
            else:
                self.optimizer = torch.optim.AdamW(groups, fused=True)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The linear schedule; for methods that train the head first, one of its own for the groups of the body."""
        if self.head_first and self.lr_scheduler is None:
            chosen = optimizer or self.optimizer
            assert chosen is not None  # the Trainer makes the optimiser first
            settle = head_first_steps(self.head_first, num_training_steps)
            rates = [body_rate(settle, num_training_steps) if group["body"] else head_rate(num_training_steps)
                     for group in chosen.param_groups]
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(chosen, rates)
        return super().create_scheduler(num_training_steps, optimizer)

    def _get_learning_rate(self) -> float:
        """The one that is reported: of the uppermost of the body's groups (the recipe's), of the head where no other
        trains."""
        groups = self.optimizer.param_groups
        return float(max([group["lr"] for group in groups if group["body"]] or [groups[0]["lr"]]))

    @property
    def head_first(self) -> float:
        return methods.get(self.recipe.method).card.head_first

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or self.args.output_dir or ".")
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.inputs.network.trained_state(), folder / TRAINED_FILE)
        (folder / ELAPSED_FILE).write_text(json.dumps({"seconds": self.elapsed}), encoding="utf-8")
        if self._best_kept is not None:
            save_file({name: torch.from_numpy(values) for name, values in self._best_kept.items()}, folder / BEST_FILE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        self.inputs.network.load_trained(load_file(folder / TRAINED_FILE))
        if (folder / BEST_FILE).is_file():  # earlier versions had none
            self._best_kept = {name: values.numpy() for name, values in load_file(folder / BEST_FILE).items()}

    def _load_best_model(self) -> None:
        if self.state.best_model_checkpoint:  # by name: the run's folder may have moved since
            best = Path(self.args.output_dir or ".") / Path(self.state.best_model_checkpoint).name
            self.inputs.network.load_trained(load_file(best / TRAINED_FILE))


class _Indices(torch.utils.data.Dataset[int]):
    """Row numbers stand for the rows; `Inputs.batch` reads them."""

    def __getitem__(self, index: int) -> int:
        return index

    def __len__(self) -> int:
        return 1


class ObserverCallback(TrainerCallback):
    """Passes steps to the Observer, keeps the data order in step with the epoch, and stops when asked to."""

    def __init__(self, trainer: ThawTrainer) -> None:
        self.trainer = trainer
        self._frozen: tuple[str, ...] | None = None

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl,
                       **kwargs: Any) -> None:
        self.trainer.sampler.set_epoch(int((state.epoch or 0.0) + 1e-6))

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl,
                      **kwargs: Any) -> None:
        """While the head trains alone, the body is held: no dropout, and BatchNorm on stored statistics. What thaws
        later gets no gradient either. Both go by the step alone, so that a run that goes on needs no other state."""
        network = self.trainer.inputs.network
        frozen = thawing.frozen_at(self.trainer.recipe, network.stack.names, state.global_step, state.max_steps)
        if frozen != self._frozen and (frozen or self._frozen):
            network.hold(*network.until_thawed(frozen))
        self._frozen = frozen
        if self.trainer.head_first:
            alone = state.global_step < head_first_steps(self.trainer.head_first, state.max_steps)
            network.hold([network.body] if alone else [])

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl,
                     **kwargs: Any) -> None:
        """A run that was stopped early has trained what it has trained: nothing waits any more."""
        if self._frozen:
            self.trainer.inputs.network.hold([])

    def on_pre_optimizer_step(self, args: TrainingArguments, state: TrainerState, control: TrainerControl,
                              **kwargs: Any) -> None:
        """The pull of a method towards where it started; the gradients were limited before."""
        pull = methods.get(self.trainer.recipe.method).card.pull
        for parameter, start in self.trainer.anchors:
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach() - start.to(parameter.device), alpha=pull)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl,
               logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        if logs and "loss" in logs:
            self.trainer.observer.step(step=state.global_step, total_steps=state.max_steps,
                                       epoch=float(state.epoch or 0.0), loss=float(logs["loss"]),
                                       learning_rate=float(logs.get("learning_rate", 0.0)),
                                       samples=self.trainer.samples, seconds=self.trainer.elapsed)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        folder = Path(args.output_dir or ".")
        checkpoints.seal(folder / f"checkpoint-{state.global_step}")
        checkpoints.prune(folder)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl,
                    **kwargs: Any) -> TrainerControl:
        self.trainer.observer.progress(state.global_step, state.max_steps, "steps")
        if self.trainer.observer.should_stop():
            control.should_training_stop = control.should_save = True
            control.should_evaluate = bool(len(self.trainer.validation_rows))
        return control


def pulled(network: Network, recipe: Recipe) -> list[torch.nn.Parameter]:
    """All that trains of the base model, where the method pulls it back to where it started."""
    if not methods.get(recipe.method).card.pull:
        return []
    pretrained = network if network.scores_tokens else network.body
    return [parameter for parameter in pretrained.parameters() if parameter.requires_grad]


def parameter_groups(network: Network, recipe: Recipe) -> list[dict[str, Any]]:
    """AdamW groups: the head at its own rate; each block at `learning_rate · layer_decay^(blocks above it)`, or at the
    rate of the group in which it thaws; biases and norms undecayed, and what is pulled elsewhere than to zero."""
    fixed = {id(parameter) for parameter in pulled(network, recipe)}
    owner = block_of([name for name, _ in network.body.named_parameters()], network.stack)
    factors = thawing.factors(recipe, network.stack.names)
    groups: dict[tuple[float, float, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        inner = name.removeprefix("body.")
        rate = (recipe.learning_rate * factors[owner[inner]] if name.startswith("body.")
                else recipe.head_learning_rate)
        free = parameter.ndim < 2 or any(part in name.lower() for part in NO_DECAY) or id(parameter) in fixed
        decay = 0.0 if free else recipe.weight_decay
        groups.setdefault((rate, decay, name.startswith("body.")), []).append(parameter)
    return [{"params": members, "lr": rate, "weight_decay": decay, "body": body}
            for (rate, decay, body), members in groups.items()]


def head_first_steps(share: float, total: int) -> int:
    """Steps in which the head trains alone: that share of them, at least one."""
    return max(1, round(share * total))


def head_rate(total: int) -> Callable[[int], float]:
    """Factor of the head's rate at a step: falls linearly to zero."""
    return lambda step: max(0.0, 1 - step / max(1, total))


def body_rate(settle: int, total: int) -> Callable[[int], float]:
    """Factor of the body's rate at a step: zero while the head settles, rising for as many steps, then the head's."""
    falling = head_rate(total)
    return lambda step: falling(step) * min(1.0, max(0.0, (step - settle + 1) / (settle + 1)))


def build(*, inputs: Inputs, recipe: Recipe, train: np.ndarray, validation: np.ndarray, folder: Path,
          observer: Observer, elapsed: float = 0.0, trackers: tuple[str, ...] = ()) -> ThawTrainer:
    """A Trainer for the recipe; checkpoints go to `folder`, at each evaluation (the one to keep and the last stay on
    disk). trackers: what transformers reports to besides (`core.planning.trackers`)."""
    an_epoch = steps_an_epoch(len(train), recipe.batch_size, recipe.gradient_accumulation)
    total = max(1, math.ceil(an_epoch * recipe.epochs))
    every = max(1, math.ceil(an_epoch / max(1, recipe.evaluations_per_epoch)))
    device = inputs.network.device.type
    args = TrainingArguments(
        output_dir=str(folder), num_train_epochs=recipe.epochs, max_steps=total,
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation, learning_rate=recipe.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=int(recipe.warmup_ratio * total), max_grad_norm=recipe.max_grad_norm, seed=recipe.seed,
        data_seed=recipe.seed, use_cpu=device == "cpu", bf16=inputs.precision == "bf16",
        fp16=inputs.precision == "fp16", logging_steps=max(1, an_epoch // LOGS_PER_EPOCH),
        logging_nan_inf_filter=False, report_to=list(trackers) or "none",
        run_name=folder.parent.name, project=PROJECT, disable_tqdm=True,
        eval_strategy="steps" if len(validation) else "no", eval_steps=every, save_strategy="steps", save_steps=every,
        load_best_model_at_end=bool(len(validation)), metric_for_best_model="selection", greater_is_better=True,
        restore_callback_states_from_checkpoint=True, remove_unused_columns=False, dataloader_pin_memory=False,
        label_names=[])
    args._n_gpu = min(1, args.n_gpu)  # a run has one device: beside others the Trainer would deal its batches out
    trainer = ThawTrainer(inputs=inputs, recipe=recipe, train=train, validation=validation, observer=observer,
                          elapsed=elapsed, args=args)
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, TensorBoardCallback) and callback.logging_dir is None:
            callback.logging_dir = str(folder.parent / "tensorboard")  # the checkpoints' folder goes when a run ends
    return trainer
