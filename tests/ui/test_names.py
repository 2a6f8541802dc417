"""What runs are called where several experiments stand side by side."""

from __future__ import annotations

from core.domain.recipe import Recipe
from core.domain.run import JobKind, Run, Status
from pages._ui import arms


def run(id: str, method: str, experiment: str) -> Run:
    return Run(id=id, workspace="w", kind=JobKind.TRAIN, name=f"BBC News · {method}", status=Status.DONE,
               experiment=experiment, recipe=Recipe(dataset="d", base_model="m", method=method), folder="")


def test_one_experiment_needs_no_title() -> None:
    assert arms.titled([run("a", "lora", "1"), run("b", "full", "1")],
                       {"1": "BBC News"}) == {"a": "LoRA", "b": "Full fine-tuning"}


def test_several_are_told_apart_by_their_title_once() -> None:
    found = arms.titled([run("a", "lora", "1"), run("b", "lora", "2"), run("c", "full", "1")],
                        {"1": "BBC News", "2": "Digits"})
    assert found == {"a": "LoRA (BBC News)", "b": "LoRA (Digits)", "c": "Full fine-tuning (BBC News)"}


def test_experiments_of_one_name_keep_unique_names() -> None:
    found = arms.titled([run("aaaa1", "lora", "1"), run("bbbb2", "lora", "2")], {"1": "BBC News", "2": "BBC News"})
    assert found == {"aaaa1": "LoRA (BBC News)", "bbbb2": "LoRA (BBC News) bbbb"}
