"""The drawer of language models: which words each block already says, where in a text the models differ, and what
training left on text that it is not about."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from core.analysis import Availability, LeftBlock, Lens, LensRow, Moved, OtherSeed
from core.domain.side import Which
from core.plots import lens_change, lens_curve, lens_left, lens_table
from core.plots.numbers import measured, percent
from core.spreadsheets import inert
from pages._ui import charts, shell
from pages._ui.features.bar import Chosen

BASE = "base model"
ALL = "all rows"
PARTS: dict[str, str] = {"blocks": "block by block", "change": "where it changed", "left": "what it left everywhere"}
ROW_CHARACTERS = 60
LEAST_DARK = 0.5
"""KL in nats below which nothing is drawn in the darkest colour."""
READ = ("A block's state is put through the model's own last norm and output layer, as if the block were the last: the "
        "logit lens. Early blocks often say nothing sensible; that is how such models work, no fault. **The last block "
        "says exactly what the model says.**")
KL = ("How far the run's prediction at a token lies from the base model's, over all words it could say. **0 when they "
      "say the same.**")
LEFT = ("The mean change of the activations on forty short texts that no run is about, at their first tokens, put "
        "through the last norm and the output layer (arXiv 2510.13900). Words of the training data here mean that the "
        "tuning speaks up where nobody asked. **0 % when nothing changed.**")


@dataclass(frozen=True, kw_only=True)
class Read:
    """A run whose words are shown, and what is known of them."""

    ws: str
    run: str
    name: str
    words: Lens

    @functools.cached_property
    def frozen(self) -> frozenset[str]:
        """Blocks that its training could not move."""
        return shell.api().features.frozen(self.ws, self.run)

    def cold(self, names: Sequence[str]) -> list[bool]:
        """The same for these blocks."""
        return [name in self.frozen for name in names]


def section(ws: str, chosen: Chosen, found: Availability) -> None:
    """All of it for one run, or what makes it. A run is held against its own base model, whatever stands beside it:
    of two runs the other one is a press away."""
    run = _whose(chosen)
    name = chosen.called[run]
    words = shell.api().features.lens(ws, run)
    if words is None:
        there = found if run == chosen.b.run else shell.api().features.state(ws, run, rows=chosen.rows)
        _missing(ws, run, chosen.rows, there)
        return
    read = Read(ws=ws, run=run, name=name, words=words)
    st.markdown(f"**{shell.escape(name)} beside the base model that it started from**")
    st.caption(f"After training, on {len(words.rows)} test and validation rows{_apart(chosen, name)}.")
    part = st.segmented_control("Look at", list(PARTS), default="blocks", key="features_lens_part", required=True,
                                format_func=PARTS.__getitem__, label_visibility="collapsed") or "blocks"
    {"blocks": _blocks, "change": _change, "left": _left}[part](read)


def _whose(chosen: Chosen) -> str:
    """Id of the run whose words are shown: that of B, or of A where A is another run's model."""
    runs = list(dict.fromkeys((chosen.b.run, chosen.a.run)))
    if len(runs) < 2:
        return runs[0]
    return str(st.segmented_control("Whose words", runs, default=runs[0], key=f"features_lens_run_{'_'.join(runs)}",
                                    required=True, format_func=chosen.called.__getitem__,
                                    help="Each beside its own base model: what two runs say is not held against "
                                         "each other, as what was kept of each are other rows and words."))


def _apart(chosen: Chosen, name: str) -> str:
    """Where these are not the numbers of the two models above, whose they are not."""
    if chosen.a.run != chosen.b.run:
        return f": {shell.escape(name)} alone, not A against B"
    if chosen.a.which is Which.BASE and chosen.b.which is Which.FINAL:
        return ""
    return ", whichever model or step is chosen above"


def _missing(ws: str, run: str, rows: int, found: Availability) -> None:
    if found.job is not None:
        st.caption("What each block says is being measured with this run's features.")
        return
    st.markdown("What each block of this run says was not measured yet. It is part of a run's features: some rows go "
                "through the base model and the run's model once more.")
    if st.button("Measure the words", icon=":material/play_arrow:", key="features_measure_words"):
        shell.api().features.request(ws, [run], rows=rows)
        st.rerun()


def _row(words: Lens, *, whole: bool) -> LensRow | None:
    """The chosen row; None for all of them, where that is offered."""
    rows = sorted(words.shown if whole else words.rows, key=lambda row: -row.kl)
    offered: list[LensRow | None] = [None, *rows] if whole else [*rows]
    place = st.selectbox("Row", range(len(offered)), key=f"features_lens_row_{'all' if whole else 'one'}",
                         format_func=lambda i: _named(offered[i], len(words.rows)),
                         help="The most changed first. " + ("Rows that moved most and least in the last block, and the "
                                                         "first of the sample." if whole else ""))
    return offered[int(place)]


def _named(row: LensRow | None, count: int) -> str:
    if row is None:
        return f"{ALL} ({count}, on average)"
    opening = " ".join("".join(row.pieces).split())
    cut = opening if len(opening) <= ROW_CHARACTERS else f"{opening[:ROW_CHARACTERS].rsplit(' ', 1)[0]}…"
    return f"row {row.row_id} · KL {row.kl:.2f} · {cut}"


# -- block by block --

def _blocks(read: Read) -> None:
    words = read.words
    if len(words.names) == 1:
        st.info("Only the last block can be read: this model does more after its blocks than norms and layers do, so "
                "what the others say would be a guess.", icon=":material/info:")
    row = _row(words, whole=True)
    over = f"{len(words.rows)} rows" if row is None else f"the first {row.shown} taught tokens of row {row.row_id}"
    frozen = read.cold(words.names)
    place = -1 if row is None else row.row_id
    chart = charts.kept(("lens curve", read.run, read.name, words.precision, words.kl, place),
                        lambda: _curve(words, row, frozen, over, name=read.name))
    charts.show(chart, key="features_lens_curve", help=READ)
    st.caption(f"Over {over}; the dotted line is chance: the true token of another place (shuffled pairs).")
    moved = [block.name for block, cold in zip(words.blocks, frozen, strict=True) if cold and block.base != block.tuned]
    if moved and words.floor and words.floor.source == "4-bit":
        st.caption("Frozen blocks say other words here by rounding alone: the run holds its weights in 4 bits.")
    elif moved:
        st.caption("Frozen blocks hand on exactly the same, yet say other words here: the last norm or the output "
                   "layer, through which all are read, was trained.")
    if row is None:
        st.caption("Choose a row to see its words block by block.")
        return
    part = _window(row, words.tokens(row))
    for column, side, name in zip(st.columns(2), ("base", "tuned"), (BASE, read.name), strict=True):
        said, tokens = words.said(row, side, part), words.tokens(row)[:row.shown][part]
        with column:
            chart = lens_table.table(words.names, tokens, top=said.top, rank=said.rank, probability=said.probability,
                                     vocabulary=words.vocabulary, side=name[:1].upper() + name[1:])
            charts.show(chart, key=f"features_lens_{side}")
    st.caption("Below: the tokens as they stand in the text. In a cell: what the block would say there; the darker, "
               "the nearer the true token is to the first place. Point at a cell for its place and probability.")


def _curve(words: Lens, row: LensRow | None, frozen: Sequence[bool], over: str, *, name: str) -> Any:
    found = words.averages(row)
    return lens_curve.curve(
        words.names, frozen, rank=([b.base.rank for b in found], [b.tuned.rank for b in found]),
        log_probability=([b.base.log_probability for b in found], [b.tuned.log_probability for b in found]),
        null_rank=[b.tuned.null_rank for b in found],
        null_log_probability=[b.tuned.null_log_probability for b in found],
        sides=(BASE, name), over=over)


def _window(row: LensRow, tokens: list[str]) -> slice:
    """The tokens that are shown, at most `MOST_TOKENS`."""
    most = lens_table.MOST_TOKENS
    first, last = st.slider("Tokens", 1, row.shown, (1, min(10, row.shown)), key=f"features_lens_tokens_{row.row_id}",
                            help=f"Which of the row's taught tokens; at most {most} are drawn together. With more than "
                                 f"{lens_table.WRITTEN_TOKENS}, words appear where a cell is pointed at.")
    return slice(first - 1, min(last, first - 1 + most))


# -- where it changed --

def _change(read: Read) -> None:
    words = read.words
    _yardsticks(words, _other_seed(read))
    row = _row(words, whole=False)
    if row is None:
        return
    kl, before, after = (words.of(row, name) for name in ("kl", "base", "tuned"))
    high = max(LEAST_DARK, float(np.quantile(words.arrays["kl"], 0.99)))
    floor = words.floor.high if words.floor else None
    chart = charts.kept(("lens text", read.run, words.precision, words.kl, row.row_id), lambda: lens_change.text(
        words.tokens(row), kl, before=np.exp(before), after=np.exp(after), high=high, floor=floor))
    charts.show(chart, key="features_lens_text", help=KL)
    st.caption(f"The taught tokens of row {row.row_id}, from its beginning; below each its KL in nats, the darker "
               "the larger. The change is in what is said *before* the token is known.")
    for column, rose in zip(st.columns(2), (True, False), strict=True):
        with column:
            _moved(words.moved(row, rose=rose), rose)


def _yardsticks(words: Lens, seeds: OtherSeed | None) -> None:
    """The mean KL beside what chance and rounding make of it."""
    value = measured(words.kl.value, words.kl.low, words.kl.high) if words.kl.value else "0"
    st.markdown(f"Mean KL over {len(words.rows)} rows: **{value} nats a token**.", help=KL)
    lines = [f"The two models at different tokens (shuffled pairs): {words.kl_shuffled:.2f} nats."]
    if words.floor:
        what = ("the untrained 4-bit model from the base model" if words.floor.source == "4-bit"
                else f"the base model in {words.precision} from itself in fp32")
        lines.append(f"Rounding alone, {what}: {words.floor.mean:.2g} nats, 95 % of the tokens below "
                     f"{words.floor.high:.2g}.")
    else:
        lines.append("Rounding was not measured: the run computed in full precision, or the model is large.")
    if seeds:
        lines.append(f"Another seed of this arm: the two differ by {seeds.between:.2f} nats in the log-probability of "
                     f"a true token, and each by {seeds.change:.2f} from the base model ({seeds.tokens:,} tokens).")
    else:
        lines.append("There is no other seed of this arm yet; how far it is from this run would be the best yardstick.")
    st.caption("  \n".join(lines))


def _moved(found: Sequence[Moved], rose: bool) -> None:
    word = "rose" if rose else "fell"
    st.markdown(f"**Tokens whose probability {word} most**")
    if not found:
        st.caption("None in this row.")
        return
    lines = [{"Token": repr(one.token)[1:-1], "From": f"{one.before:.3g}", "To": f"{one.after:.3g}",
              "After the words": f"…{one.context}".replace("\n", " "),
              "Stands there": "yes" if one.true else ""} for one in found]
    st.dataframe(inert(lines), hide_index=True, key=f"features_lens_{word}",
                 alt="; ".join(f"{line['Token']} {line['From']} to {line['To']}" for line in lines[:5]))


def _other_seed(read: Read) -> OtherSeed | None:
    found = shell.api().features.lens_of_other_seed(read.ws, read.run)
    return found[1] if found else None


# -- what it left everywhere --

def _left(read: Read) -> None:
    words = read.words
    if not words.left:
        st.info("This could not be measured: the model does more after its blocks than norms and layers do, or its "
                "tokenizer cuts the texts too short.", icon=":material/info:")
        return
    seeds = _other_seed(read)
    names = [block.name for block in words.left]
    share = [block.size / block.typical if block.typical else 0.0 for block in words.left]
    agreement = [block.agreement for block in words.left]
    same = list(seeds.agreement) if seeds and len(seeds.agreement) == len(names) else None
    chosen = st.select_slider("Block", names, value=names[_middle(share)], key=f"features_lens_block_{read.run}",
                              help="Whose words are listed below. What the last blocks left is closest to what the "
                                   "model will say.")
    place = names.index(str(chosen))
    charts.show(lens_left.left(names, read.cold(names), share=share, agreement=agreement, seeds=same,
                               selected=place), key="features_lens_left", help=LEFT)
    block = words.left[place]
    if not block.words:
        st.caption(f"Nothing changed in {block.name}: equal to the last bit.")
        return
    lines = [{"Word": repr(word)[1:-1], "Share": f"{percent(p, 2)}", "Random direction": repr(other)[1:-1],
              "Its share": f"{percent(q, 2)}"} for (word, p), (other, q) in zip(block.words, block.random, strict=True)]
    st.dataframe(inert(lines), hide_index=True, key="features_lens_words", height=300,
                 alt="Words that the change points to: " + ", ".join(line["Word"] for line in lines[:10]))
    _chance(block, same=same is not None)


def _chance(block: LeftBlock, *, same: bool) -> None:
    """What halves of the texts and random directions make of the words."""
    highest, shared = block.random_highest or 0.0, block.random_shared or 0.0
    st.caption(f"Yardsticks: of the {len(block.words)} words that one half of the texts points to, the other half "
               f"names {block.shared}, too; a random direction of the same size shares {shared:.1f} with the change "
               f"and gives no word more than {percent(highest, 2)}. "
               + ("For two seeds see the dashed line." if same else "There is no other seed of this arm yet."))


def _middle(share: Sequence[float]) -> int:
    """Where to begin: the block in which most was left, of those in the middle of the network; the last where nothing
    was."""
    n = len(share)
    inside = range(n // 3, max(n // 3 + 1, n - n // 6))
    best = max(inside, key=lambda i: share[i])
    return best if share[best] else n - 1
