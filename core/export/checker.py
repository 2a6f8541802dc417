"""Load exports as their users would and say what they answer: `python -I checker.py ASKED.json`.

Run in a process of its own, from no folder of Thaw's and with nothing of it importable: what an export needs of Thaw,
it has not. ASKED: {"rows": {…}, "checks": [{"form", "folder", "base", "precision", "out", "kept"}]}; each check
writes its answers to `out`, and a line an answer to `kept` as they come: what is there already is not asked again.
Lines on stdout tell how far it is, as JSON.
"""

from __future__ import annotations

import functools
import json
import os
import runpy
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

USED = ("torch", "transformers", "peft", "bitsandbytes", "safetensors", "tokenizers", "timm", "torchvision", "onnx",
        "onnxruntime", "gguf", "xllamacpp", "numpy", "PIL", "sklearn", "pyarrow")
PACKAGES = {"PIL": "pillow", "sklearn": "scikit-learn"}
TEXTS = "text"
SMALLEST = 1e-38
ASKED_TWICE = 10
"""Rows of a GGUF file that llama.cpp computes, too."""
PARENT = os.getppid()
BY_ROW = ("content", "ids", "taught", "special", "asked", "row_ids")


def main(path: str) -> None:
    """Do all checks that the file asks for; one that fails says why and does not keep the others from being done."""
    asked = json.loads(Path(path).read_text(encoding="utf-8"))
    sys.dont_write_bytecode = True  # nothing is left in an export
    for check in asked["checks"]:
        try:
            found = examine(asked["rows"], check)
        except Exception as error:  # noqa: BLE001 - whatever an export does wrong is what is to be found
            found = {"error": f"{type(error).__name__}: {str(error)[:600]}"}
        if "core" in sys.modules:
            found = {"error": "Thaw was imported."}
        Path(check["out"]).write_text(json.dumps(found), encoding="utf-8")


def examine(rows: dict[str, Any], check: dict[str, Any]) -> dict[str, Any]:
    """{"answers", "load_seconds", "seconds", "versions"} of one export."""
    if check["form"] == "script":
        return script(rows, check)
    began, total = time.monotonic(), len(rows["content"])
    earlier = known(Path(check["kept"]), total)
    rows = {name: values[len(earlier):] if name in BY_ROW else values for name, values in rows.items()}
    if "ids" in rows:
        answer = language(rows, check)
    elif check["form"] == "folder":
        answer = pipeline(rows, check)
    else:
        answer = classifier(rows, check)
    next(answer)  # loaded
    loaded = before = time.monotonic()
    answers = list(earlier)
    Path(check["kept"]).unlink(missing_ok=True)  # a checker whose export was killed may still hold that file
    with Path(check["kept"]).open("w", encoding="utf-8") as kept:
        kept.writelines(json.dumps(line) + "\n" for line in earlier)
        kept.flush()
        for said in answer:
            if os.getppid() != PARENT:
                raise SystemExit("The export that asked has ended.")
            now = time.monotonic()
            answers.append([said, now - before])
            before = now
            kept.write(json.dumps(answers[-1]) + "\n")
            kept.flush()
            if len(answers) % 20 == 0 or len(answers) == total:
                tell(len(answers), total)
    return {"answers": [said for said, _ in answers], "load_seconds": loaded - began,
            "seconds": sum(took for _, took in answers), "versions": versions()}


def known(path: Path, total: int) -> list[list[Any]]:
    """[answer, seconds it took] of the first rows, from an attempt that was cut off; its last line may be too."""
    found: list[list[Any]] = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                said, took = json.loads(line)
            except ValueError:
                break
            found.append([said, float(took)])
    return found[:total]


def tell(done: int, total: int) -> None:
    """How far it is."""
    sys.stdout.write(json.dumps({"done": done, "total": total}) + "\n")
    sys.stdout.flush()


def classifier(rows: dict[str, Any], check: dict[str, Any]) -> Iterator[Any]:
    """Log-probabilities of each row by the folder's own script, in the order of the classes of the run."""
    kind = runpy.run_path(str(Path(check["folder"]) / "predict.py"))["Model"]
    given = {name: check[name] for name in ("base", "precision") if check.get(name)}
    model = kind(Path(check["folder"]), **given)
    yield None
    for row in rows["content"]:
        said = model.predict([row])[0]["probabilities"]
        yield logs([said[name] for name in rows["classes"]])


def pipeline(rows: dict[str, Any], check: dict[str, Any]) -> Iterator[Any]:
    """The same by `transformers.pipeline`, told nothing but the folder."""
    import transformers

    transformers.logging.set_verbosity_error()  # type: ignore[attr-defined]
    texts = rows["input"] == TEXTS
    task = "text" if texts else "image"
    model: Any = transformers.pipeline(f"{task}-classification", model=str(check["folder"]), device="cpu")  # type: ignore[call-overload]
    options = {"truncation": True, "top_k": None} if texts else {"top_k": len(rows["classes"])}
    yield None
    for row in rows["content"]:
        said = model([row] if texts else row, **options)
        said = {answer["label"]: answer["score"] for answer in (said[0] if texts else said)}
        yield logs([said[name] for name in rows["classes"]])


def language(rows: dict[str, Any], check: dict[str, Any]) -> Iterator[Any]:
    """Of each row {"loss": nats over its taught tokens, "right": of these the likeliest, "read": whether the export's
    own tokenizer reads the row as the run did}; of the first rows of a GGUF file also "runtime", see `LlamaCpp.beside`.
    """
    folder = Path(check["folder"])
    runtime = LlamaCpp(folder, rows["ids"]) if check["form"] == "gguf" else None
    logits, encode, ask = loaded_language(folder, check) if runtime is None else runtime.loaded()
    yield None
    for row, ids in enumerate(rows["ids"]):
        said, taught = logits(ids), rows["taught"][row]
        beside = {"runtime": runtime.beside(said, ids, taught)} if runtime is not None and row < ASKED_TWICE else {}
        yield {**scored(said, ids, taught), **beside,
               "read": same_start(encode(rows["content"][row], rows["special"][row]), ids)
               and (rows["asked"][row] is None or ask is None or ask(rows["asked"][row][0]) == rows["asked"][row][1])}


def loaded_language(folder: Path, check: dict[str, Any]) -> tuple[Callable[..., Any], ...]:
    """(ids -> logits (n_tokens, n_vocabulary), text and whether with special tokens -> ids, question -> ids)."""
    if (folder / "predict.py").is_file():
        given = {"base": check["base"]} if check.get("base") else {}
        model = runpy.run_path(str(folder / "predict.py"))["Model"](folder, **given)
        tokenizer, logits, ask = model.tokenizer, getattr(model, "logits", None), model.ids
        network: Any = getattr(model, "model", None)
    else:
        import transformers

        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)  # type: ignore[no-untyped-call]
        network = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
        logits = ask = None
    return (logits or functools.partial(by_torch, network),
            lambda text, special: list(tokenizer(text, add_special_tokens=special)["input_ids"]), ask)


class LlamaCpp:
    """A GGUF file, its numbers as transformers reads them, its texts and its first words as llama.cpp does."""

    def __init__(self, folder: Path, rows: list[list[int]]) -> None:
        import xllamacpp

        self.path = next(folder.glob("*.gguf"))
        given = xllamacpp.CommonParams()
        given.model.path, given.n_ctx, given.n_parallel = str(self.path), max([64, *map(len, rows)]) + 64, 1
        given.warmup, given.verbosity = False, 0
        given.cpuparams.n_threads = given.cpuparams_batch.n_threads = int(os.environ.get("OMP_NUM_THREADS")
                                                                          or os.cpu_count() or 1)
        self.server = xllamacpp.Server(given)

    def loaded(self) -> tuple[Callable[..., Any], ...]:
        """As `loaded_language`. Its reader in transformers is another program than the one that wrote the file."""
        import transformers

        network: Any = transformers.AutoModelForCausalLM.from_pretrained(
            self.path.parent, gguf_file=self.path.name, dtype="float32",
            quantization_config=transformers.GgufConfig(dequantize=True)).eval()
        return functools.partial(by_torch, network), self.encode, self.ask

    def encode(self, text: str, special: bool) -> list[int]:
        """As llama.cpp reads a text."""
        return [int(id) for id in self._said("/tokenize", content=text, add_special=special,
                                             parse_special=True)["tokens"]]

    def ask(self, question: str) -> list[int]:
        """What it is given where somebody asks it in a chat."""
        turns = [{"role": "user", "content": question}]
        return self.encode(self._said("/apply-template", messages=turns)["prompt"], True)

    def beside(self, logits: Any, ids: list[int], taught: list[int]) -> float:
        """Largest difference between llama.cpp's log-probabilities of its five likeliest tokens at the first taught
        place of a row and those of the same file in transformers, which are given."""
        import numpy as np

        places = np.flatnonzero(np.asarray(taught[1:]))
        if not len(places):
            return 0.0
        said = self._said("/completion", prompt=ids[:places[0] + 1], n_predict=1, n_probs=5, temperature=0.0,
                          cache_prompt=False)["completion_probabilities"][0]["top_logprobs"]
        row = np.asarray(logits[places[0]], np.float64)
        row = row - row.max() - np.log(np.exp(row - row.max()).sum())
        return max(abs(float(row[token["id"]]) - token["logprob"]) for token in said)

    def _said(self, path: str, **asked: Any) -> dict[str, Any]:
        import urllib.request

        request = urllib.request.Request(self.server.listening_address + path, json.dumps(asked).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=300) as reply:
            return dict(json.loads(reply.read()))


def by_torch(network: Any, ids: list[int]) -> Any:
    """(n_tokens, n_vocabulary) of one row."""
    import torch

    with torch.no_grad():
        said = network(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long))
    return said.logits[0].double().numpy()


def scored(logits: Any, ids: list[int], taught: list[int]) -> dict[str, Any]:
    """Loss and right answers at the taught places of a row."""
    import numpy as np

    places = np.flatnonzero(np.asarray(taught[1:]))
    if not len(places):
        return {"loss": 0.0, "right": 0}
    said, truth = np.asarray(logits, np.float64)[:-1][places], np.asarray(ids[1:])[places]
    highest = said.max(1, keepdims=True)
    log_sum = np.log(np.exp(said - highest).sum(1)) + highest[:, 0]
    return {"loss": float((log_sum - said[np.arange(len(places)), truth]).sum()),
            "right": int((said.argmax(1) == truth).sum())}


def same_start(found: list[int], ids: list[int]) -> bool:
    """Whether a text is read as it was: token by token up to the last, which may be an end that the run set itself."""
    count = min(len(found), len(ids))
    return found[:max(1, count - 1)] == ids[:max(1, count - 1)] and len(found) >= len(ids) - 1


def script(rows: dict[str, Any], check: dict[str, Any]) -> dict[str, Any]:
    """Run the recipe's script, which trains and writes what it predicts; its answers in the order of the rows."""
    began = time.monotonic()
    out = f"{check['out']}.predictions"
    given = [] if "ids" in rows else ["--data", check["data"]]  # a language model's tokens lie in the folder
    sys.argv = ["train.py", "--base", check["base"], *given, "--out", out]
    sys.path.insert(0, str(check["folder"]))  # as Python does for `python train.py`
    try:
        runpy.run_path(str(Path(check["folder"]) / "train.py"), run_name="__main__")
    finally:
        sys.path.pop(0)
        for page in Path(check["folder"]).glob("*.py"):
            sys.modules.pop(page.stem, None)
    said = json.loads(Path(out).read_text(encoding="utf-8"))
    by_row = {row["row_id"]: row for row in said}
    if "ids" in rows:
        read = tokens_of(Path(check["folder"]) / "tokens.parquet")
        own = zip(rows["row_ids"], rows["ids"], rows["taught"], strict=True)
        answers: list[Any] = [{"loss": by_row[id]["loss"], "right": by_row[id]["right"],
                               "read": read[id] == (ids, taught)} for id, ids, taught in own]
    else:
        answers = [logs([by_row[id]["probabilities"][name] for name in rows["classes"]]) for id in rows["row_ids"]]
    return {"answers": answers, "load_seconds": 0.0, "seconds": time.monotonic() - began, "versions": versions()}


def tokens_of(path: Path) -> dict[int, tuple[list[int], list[int]]]:
    """Row id -> (its token ids, whether each is taught) as a language model's script reads them."""
    import pyarrow.parquet as parquet

    table = parquet.read_table(path)
    columns = (table[name].to_pylist() for name in ("row_id", "ids", "taught"))
    return {id: (ids, [int(mark) for mark in taught]) for id, ids, taught in zip(*columns, strict=True)}


def logs(probabilities: list[float]) -> list[float]:
    """Natural logarithms."""
    import math

    return [math.log(max(value, SMALLEST)) for value in probabilities]


def versions() -> dict[str, str]:
    """Of Python and of the packages that were used."""
    found = {"python": sys.version.split()[0]}
    for name in USED:
        if name in sys.modules:
            try:
                found[PACKAGES.get(name, name)] = metadata.version(PACKAGES.get(name, name))
            except metadata.PackageNotFoundError:
                continue
    return found


if __name__ == "__main__":
    main(sys.argv[1])
