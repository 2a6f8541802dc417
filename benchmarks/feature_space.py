"""The feature space against the clock, each part beside a plain peer on the same machine in the same session.

    make bench                                (after the training runs)
    python benchmarks/feature_space.py --only numbers,extraction

- numbers: every number of 8 blocks of 2,000 rows x 384, two models; beside it, scikit-learn's k-NN and linear probe
alone.
- extraction: MiniLM on 2,000 rows of BBC News, every block; beside it, a bare loop that runs the model and pools the
last block.
- page: opening the page with features on disk at 2,000 rows, and a lasso at 5,000 points a pane, in the system's
Chromium; beside it,
  a Streamlit page of 40 lines with nothing but the same two panes as a Plotly figure.
Medians over repeats, which alternate between Thaw and the peer.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from core import settings as settings_module  # noqa: E402

ROWS, WIDTH, BLOCKS, CLASSES = 2000, 384, 8, 5
Line = dict[str, Any]


def main() -> int:
    """Run the parts that were asked for, print a Markdown table, write feature_space.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="numbers,extraction,page")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    lines: list[Line] = []
    for part in args.only.split(","):
        lines += {"numbers": numbers, "extraction": extraction, "page": page}[part](args.repeats)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "feature_space.json").write_text(json.dumps(lines, indent=1), encoding="utf-8")
    print("| what | Thaw | plain peer | ratio | wanted |\n|---|---|---|---|---|")
    for line in lines:
        print(f"| {line['what']} | {line['thaw_s']:.2f} s | {line['peer']}: {line['peer_s']:.2f} s | "
              f"{line['thaw_s'] / line['peer_s']:.2f} | {line['wanted']} |")
    return 0


def alternate(thaw: Callable[[], Any], peer: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Median wall seconds of both, taken in turn."""
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for side, work in zip(spent, (thaw, peer), strict=True):
            began = time.perf_counter()
            work()
            side.append(time.perf_counter() - began)
    return statistics.median(spent[0]), statistics.median(spent[1])


# -- numbers -----------------------------------------------------------------------------------------------------------


def numbers(repeats: int) -> list[Line]:
    """All per-block numbers, the block map and the drawn map, against k-NN and probe alone."""
    from core.shift import report
    from core.shift.sides import AlignedFeatures

    base, tuned, labels = tables()
    both = AlignedFeatures(names=tuple(f"block {i}" for i in range(BLOCKS)), base=base, tuned=tuned,
                           frozen=(False,) * BLOCKS,
                 labels=labels)
    ours, theirs = alternate(lambda: report.measure(both), lambda: plain_numbers(base, tuned, labels), repeats)
    return [{"what": f"all numbers, {ROWS:,} rows x {WIDTH}, {BLOCKS} blocks", "thaw_s": ours,
             "peer": "k-NN and probe of scikit-learn", "peer_s": theirs, "wanted": "10 s"}]


def tables() -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Features of two models with a spectrum that decays as real ones do, in fp16 as on disk; classes apart; later
    blocks moved more."""
    rng = np.random.default_rng(0)
    labels = np.arange(ROWS) % CLASSES
    decay = np.exp(-np.arange(WIDTH) / 60)
    centres = 0.6 * rng.standard_normal((CLASSES, WIDTH)) * decay
    base = [rng.standard_normal((ROWS, WIDTH)) * decay + centres[labels] for _ in range(BLOCKS)]
    tuned = [x + (i + 1) / BLOCKS * (0.3 * rng.standard_normal((ROWS, WIDTH)) * decay + 0.5 * centres[labels])
             for i, x in enumerate(base)]
    return [x.astype(np.float16) for x in base], [y.astype(np.float16) for y in tuned], labels


def plain_numbers(base: list[np.ndarray], tuned: list[np.ndarray], labels: np.ndarray) -> None:
    """What a notebook would do for two of the numbers: cosine neighbours, and a cross-validated probe."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.neighbors import NearestNeighbors
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    for features in (*base, *tuned):
        values = features.astype(np.float64)
        NearestNeighbors(n_neighbors=21, metric="cosine").fit(values).kneighbors(values)
        cross_val_predict(make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)), values, labels, cv=3)


# -- extraction --------------------------------------------------------------------------------------------------------


def extraction(repeats: int) -> list[Line]:
    """Pooled features of every block against one bare forward pass over the same rows, lengths, batches and
    precision."""
    from core import tasks
    from core.api import Thaw
    from core.cli import sources
    from core.domain.dataset import Split
    from core.features import pooled
    from core.models import facts as facts_module
    from core.planning import effort
    from core.training import artifact
    from core.training.session import read_rows

    settings = settings_module.load()
    dataset = sources.dataset("bbc-news", shift=None, settings=settings, workspace="bench")
    facts = sources.model("minilm", settings=settings, workspace="bench")
    recipe = effort.defaults(dataset=dataset.id, task=dataset.task, base_model=facts.id, method="probe", effort="quick",
                             facts=facts, train_rows=dataset.rows(Split.TRAIN), mean_length=dataset.mean_length)
    device = Thaw(settings).device()
    precision = device.precision if device else "fp32"
    rows, folder = read_rows(dataset, settings=settings, workspace="bench"), facts_module.folder(facts.id, settings)
    task = tasks.get(recipe.task).of(folder, rows)
    encoded = task.encode(rows, recipe=recipe, facts=facts, cache=settings.cache)
    network = task.build(folder, recipe=recipe, facts=facts, weights="pretrained", dropout=0.0, device="cpu",
                         compute_dtype=artifact.compute_dtype(precision))
    sample = np.arange(min(ROWS, len(rows.row_ids)))
    bare = Bare(folder, rows.content[:len(sample)], recipe.max_length, precision)
    pooled.every_block(network, encoded, sample[:64], precision=precision)
    ours, theirs = alternate(lambda: pooled.every_block(network, encoded, sample, precision=precision), bare.run,
                             repeats)
    return [{"what": f"features of {len(sample):,} rows at {len(facts.blocks)} blocks, MiniLM, {precision}",
             "thaw_s": ours, "peer": "bare forward pass", "peer_s": theirs, "wanted": "1.2 x"}]


class Bare:
    """`AutoModel` on the same texts: tokenised beforehand, sorted by length, 32 a batch, the last block's mean kept."""

    def __init__(self, folder: Path, texts: list[str], length: int, precision: str) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.model = AutoModel.from_pretrained(folder).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.precision = precision
        ids = self.tokenizer(texts, truncation=True, max_length=length)["input_ids"]
        ids.sort(key=len, reverse=True)
        self.batches = [self.tokenizer.pad({"input_ids": ids[i:i + 32]}, return_tensors="pt")
                        for i in range(0, len(ids), 32)]

    def run(self) -> None:
        """One pass."""
        import torch

        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.precision == "bf16"):
            for batch in self.batches:
                hidden = self.model(**batch).last_hidden_state
                mask = batch["attention_mask"].unsqueeze(-1)
                ((hidden * mask).sum(dim=1) / mask.sum(dim=1)).float().numpy()


def page(repeats: int) -> list[Line]:
    """Opening and lasso in a real browser."""
    from importlib.util import find_spec

    if find_spec("playwright") is None:
        print("Playwright is not installed (tests/requirements.txt): the page was not timed.", file=sys.stderr)
        return []
    from feature_page import measure

    return measure(repeats)


if __name__ == "__main__":
    raise SystemExit(main())
