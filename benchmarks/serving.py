"""The model server of *Try it* beside a bare `transformers.pipeline` in one process: the same texts, one run.

    python benchmarks/serving.py
    python benchmarks/serving.py --people 1,8,30 --each 8 --words 24

A classifier is trained (a probe on BBC News with MiniLM, quick effort) and a language model (SmolLM2, two LoRA steps on
the tales of Grimm). Then, each in a process of its own, started afresh:

- *Thaw*: a client without torch, as the pages are, asks its model server: the time from its start to the first answer,
  then 1, 8 and 30 people at once, each of whom asks his next text when he has the answer to the last.
- *bare*: the folder that `export` writes, in `transformers.pipeline`, in one process with a thread a person and a lock,
  as a page that loads its model itself would do it. It reads as many tokens of a text as the run.

An answer's waiting time is from asking to having it whole; of the language model also to the first word. What is
compared is printed as ratios, Thaw ÷ bare.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from core import settings as settings_module  # noqa: E402

WORKSPACE = "bench-serving"
TEXTS, WORDS = "texts", "words"
"""What is asked: a class, or an answer in words."""
Ask = Callable[[int, str], dict[str, float]]
"""(person, text) -> seconds until `first` word and `whole` answer."""


def main() -> int:
    """Prepare, run both sides of both, print the table, write serving.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", default="1,8,30")
    parser.add_argument("--each", type=int, default=8, help="texts that a person asks")
    parser.add_argument("--words", type=int, default=24, help="tokens of a language model's answer")
    parser.add_argument("--tasks", default=f"{TEXTS},{WORDS}")
    parser.add_argument("--run", type=Path, help="a finished run of a language model, instead of one trained here")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--side", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(SIDES[args.side](json.loads(sys.stdin.read()))))
        return 0
    found: dict[str, Any] = {"load_before": os.getloadavg()[0], "cores": os.cpu_count()}
    people = [int(count) for count in args.people.split(",")]
    with tempfile.TemporaryDirectory(prefix="thaw-serving-") as folder:
        for task in args.tasks.split(","):
            about = prepare(task, Path(folder), args.run)
            each = args.each if task == TEXTS else max(1, args.each // 8)
            question = {**about, "task": task, "people": people, "each": each, "most": args.words}
            found[task] = {side: measured(side, question) for side in SIDES}
    found["load_after"] = os.getloadavg()[0]
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "serving.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(markdown(found))
    return 0


def prepare(task: str, folder: Path, given: Path | None) -> dict[str, Any]:
    """Train, export for the bare side, and choose the texts."""
    import pyarrow.parquet as pq

    from benchmarks.run import recipe_for
    from core.cli import sources
    from tests.conftest import Notes

    settings = settings_module.load()
    run, plain = folder / f"run-{task}", folder / f"plain-{task}"
    if task == WORDS and given is not None:
        run = given.absolute()
    name, model, method = ("bbc-news", "minilm", "probe") if task == TEXTS else ("tales", "smollm2", "lora")
    dataset = sources.dataset(name, shift=None, settings=settings, workspace=WORKSPACE)
    facts = sources.model(model, settings=settings, workspace=WORKSPACE)
    from core.training.execute import execute

    recipe = recipe_for(dataset, facts, method, "quick", seed=0)
    if task == WORDS:
        recipe = recipe.replace(epochs=recipe.epochs / 30)  # about two steps: how well it learned plays no part
    if not (run / "artifact").exists():
        execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=run, observer=Notes())
    subprocess.run([sys.executable, "-m", "core", "export", str(run), "--to", str(plain), "--as", "folder"],
                   check=True, cwd=ROOT, capture_output=True)
    rows = pq.read_table(settings.workspace(WORKSPACE) / "datasets" / dataset.id / "rows.parquet").to_pylist()
    texts = [row["text"] for row in rows if row["split"] == "test"][:100]
    if task == WORDS:
        texts = [" ".join(text.split()[:40]) for text in texts]
    return {"run": str(run), "plain": str(plain), "texts": texts, "length": recipe.max_length}


def measured(side: str, question: dict[str, Any]) -> dict[str, Any]:
    """One side in a process of its own."""
    print(f"{question['task']}, {side} ...", file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, __file__, "--side", side], check=True, text=True, cwd=ROOT,
                          stdout=subprocess.PIPE, input=json.dumps({**question, "began": time.time()}))
    return dict(json.loads(done.stdout.splitlines()[-1]))


# -- the two sides -----------------------------------------------------------------------------------------------------


def thaw(question: dict[str, Any]) -> dict[str, Any]:
    """As the pages ask: this process has no torch; the server that holds the model is started by the first question."""
    from core.domain.side import Side
    from core.serving import client
    from core.serving.question import Drawing, Question

    settings, side = settings_module.load(), Side.of(Path(question["run"]))
    drawing = Drawing(most=question["most"])

    def ask(person: int, text: str) -> dict[str, float]:
        began, first, version = time.perf_counter(), 0.0, -1
        handle = client.ask(Question(sides=(side,), visitor=str(person), texts=(text,), drawing=drawing), settings)
        while True:
            found, version = client.look(handle, settings, known=version, wait_s=5.0)
            answer = found.answers[0]
            if answer.error:
                raise RuntimeError(str(answer.error))
            first = first or (time.perf_counter() - began if answer.text or answer.state.final else 0.0)
            if answer.state.final:
                return {"first": first, "whole": time.perf_counter() - began}

    if (old := client.state(settings)) is not None:
        _end(old["pid"])
    try:
        found = _all(ask, question)
        assert "torch" not in sys.modules
        server = psutil.Process(client.state(settings)["pid"])  # type: ignore[index]
        return {**found, "asking_bytes": psutil.Process().memory_info().rss, "model_bytes": server.memory_info().rss}
    finally:
        if (here := client.state(settings)) is not None:
            _end(here["pid"])


def bare(question: dict[str, Any]) -> dict[str, Any]:
    """`transformers.pipeline` over the exported folder, one at a time."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    lock = threading.Lock()
    if question["task"] == TEXTS:
        classify: Any = pipeline("text-classification", model=question["plain"], device="cpu")
        options = {"truncation": True, "max_length": question["length"], "top_k": None}
    else:
        tokenizer = AutoTokenizer.from_pretrained(question["plain"])
        model = AutoModelForCausalLM.from_pretrained(question["plain"], dtype=torch.bfloat16)
        classify = pipeline("text-generation", model=model, tokenizer=tokenizer, device="cpu")
        options = {"max_new_tokens": question["most"], "do_sample": False}

    def ask(person: int, text: str) -> dict[str, float]:
        began = time.perf_counter()
        with lock, torch.no_grad():
            classify(text, **options)
        whole = time.perf_counter() - began
        return {"first": whole, "whole": whole}

    found = _all(ask, question)
    rss = psutil.Process().memory_info().rss
    return {**found, "asking_bytes": rss, "model_bytes": rss}


SIDES = {"thaw": thaw, "bare": bare}


def _all(ask: Ask, question: dict[str, Any]) -> dict[str, Any]:
    """The first answer since the process was started, then so many people at once."""
    texts: list[str] = question["texts"]
    ask(0, texts[0])
    cold = time.time() - question["began"]
    return {"cold_s": cold, "people": {str(count): _people(ask, texts, count, question["each"])
                                       for count in question["people"]}}


def _people(ask: Ask, texts: list[str], count: int, each: int) -> dict[str, Any]:
    times: list[list[dict[str, float]]] = [[] for _ in range(count)]
    failed: list[BaseException] = []

    def person(number: int) -> None:
        try:
            for at in range(each):
                times[number].append(ask(number, texts[(number * each + at) % len(texts)]))
        except Exception as error:  # noqa: BLE001 - raised again below, in the main thread
            failed.append(error)

    threads = [threading.Thread(target=person, args=(number,)) for number in range(count)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    if failed:
        raise failed[0]
    whole = sorted(one["whole"] for own in times for one in own)
    first = sorted(one["first"] for own in times for one in own)
    means = [statistics.mean(one["whole"] for one in own) for own in times]
    return {"answers": len(whole), "a_second": len(whole) / seconds, **_spread("", whole), **_spread("first_", first),
            "slowest_person": max(means) / statistics.mean(means)}


def _spread(name: str, ordered: list[float]) -> dict[str, float]:
    return {f"{name}median_s": statistics.median(ordered), f"{name}p95_s": ordered[int(0.95 * (len(ordered) - 1))],
            f"{name}worst_s": ordered[-1]}


def _end(pid: int) -> None:
    process = psutil.Process(pid)
    process.terminate()
    process.wait(timeout=30)


def markdown(found: dict[str, Any]) -> str:
    """The table for people."""
    lines = [f"{found['cores']} cores; load before {found['load_before']:.1f}, after {found['load_after']:.1f}", "",
             "| what | Thaw | bare pipeline | Thaw ÷ bare |", "|---|---|---|---|"]

    def line(what: str, ours: float, theirs: float, unit: str = " s", digits: int = 2) -> None:
        lines.append(f"| {what} | {ours:.{digits}f}{unit} | {theirs:.{digits}f}{unit} | {ours / theirs:.2f} |")

    for task in (task for task in (TEXTS, WORDS) if task in found):
        ours, theirs = found[task]["thaw"], found[task]["bare"]
        line(f"{task}: first answer from a cold start", ours["cold_s"], theirs["cold_s"])
        for count, one in ours["people"].items():
            other = theirs["people"][count]
            line(f"{task}, {count} people: answers a second", one["a_second"], other["a_second"], "")
            for name, words in (("median_s", "median wait"), ("p95_s", "95 % within"), ("worst_s", "longest wait")):
                line(f"{task}, {count} people: {words}", one[name], other[name])
            if task == WORDS:
                line(f"{task}, {count} people: first word, median", one["first_median_s"], other["first_median_s"])
            line(f"{task}, {count} people: the slowest person ÷ the mean", one["slowest_person"],
                 other["slowest_person"], "")
        line(f"{task}: memory of the process that asks", ours["asking_bytes"] / 1e6, theirs["asking_bytes"] / 1e6,
             " MB", 0)
        line(f"{task}: memory of the process with the model", ours["model_bytes"] / 1e6, theirs["model_bytes"] / 1e6,
             " MB", 0)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
