"""The comparison that one press starts, and what it will show: on the home page, and wherever there is nothing yet."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.api import Thaw
from core.domain.dataset import BundledDataset
from core.domain.model import BundledModel
from core.metrics import METRICS
from core.models.methods import HOME
from core.plots import thumbnail
from core.plots.numbers import about, measured, size
from pages._ui import devices, example, guard, shell
from pages._ui.experiment import actions as experiment


def comparison(ws: str, dataset: BundledDataset, model: BundledModel, *, effort: str = "quick", key: str,
               primary: bool = True, methods: Sequence[str] = (), label: str = "") -> None:
    """The button that starts methods on a bundled set, with the time it takes here. methods: all of `HOME` unless they
    are named."""
    methods = methods or HOME[dataset.task]
    label = label or f"Compare on {dataset.name} with {_short(model)}"
    if st.button(label, icon=":material/play_arrow:", key=key, type="primary" if primary else "secondary"):
        with shell.guarded():
            ids = shell.api().experiments.compare_bundled(ws, dataset=dataset.id, model=model.id, methods=methods,
                                                          effort=effort)
            experiment.started(ws, ids, by="home")
    guard.fragment(_time, run_every=None if shell.api().device() else 2.0)(ws, dataset, model, effort, methods)


def _short(model: BundledModel) -> str:
    return model.name.split(" (")[0]


def _time(ws: str, dataset: BundledDataset, model: BundledModel, effort: str, methods: Sequence[str]) -> None:
    """How long it takes on this machine, as measured; looks again until it has been."""
    with shell.guarded():
        api = shell.api()
        recipes = api.experiments.bundled_recipes(ws, dataset=dataset.id, model=model.id, methods=methods,
                                                  effort=effort)
        seconds = api.experiments.seconds(ws, recipes)
        if seconds is None or api.device() is None:
            st.caption(":material/timer: Measuring how fast this machine is…")
            return
        there = api.models.is_here(model.id)
        there_too = api.data.find(ws, dataset.id) is not None
        parts = () if there_too else api.data.parts(dataset)
        fetched = (0 if there else model.size_bytes) + sum(part.size_bytes for part in parts)
        first = f", after {size(fetched)} are fetched once" if fetched else ""
        runs = "1 run" if len(recipes) == 1 else f"{len(recipes)} runs"
        st.caption(f":material/timer: {runs}, **{about(seconds)}** on this machine{first}. "
                   "You may close the page meanwhile.",
                   help="From the speed measured on this machine, for one run after another; it can be off by a factor "
                        "of two.")


LINKS = {"train": ("Choose methods yourself", ":material/model_training:"),
         "data": ("Bring your own data", ":material/upload_file:")}


def empty(ws: str, text: str, *, links: Sequence[str] = tuple(LINKS)) -> None:
    """An empty state: what is missing, the comparison in one press, the recorded example, and other ways on."""
    api = shell.api()
    with st.container(border=True):
        st.markdown(f":material/info: {text}")
        if not shell.recorded():
            comparison(ws, api.data.bundled()[0], api.models.bundled()[0], key="first_comparison")
            with st.container(horizontal=True):
                example.link()
                for page in links:
                    shell.link(page, LINKS[page][0], icon=LINKS[page][1])


def promise() -> None:
    """What a comparison shows, drawn from the measured results of the recorded example."""
    card = Thaw.recorded_card()
    if card is None:
        return
    dark = st.context.theme.type == "dark"
    picture = card.picture
    metric = next((m for m in METRICS if m.name == card.metric), METRICS[0])
    best = sorted(card.scores, key=lambda score: metric.sign * score.value, reverse=True)
    st.image(thumbnail.scores([(s.label, s.colour_index, s.value, s.low, s.high) for s in best],
                              title=f"{metric.label.capitalize()} on test rows, with 95 % intervals", dark=dark),
             width="stretch",
             alt="; ".join(f"{s.label} {metric.label} {measured(s.value, s.low, s.high)}" for s in best))
    st.image(thumbnail.before_and_after(picture.before, picture.after, picture.labels, picture.classes, dark=dark,
                                        names=("Before training", f"After: {picture.label.lower()}")),
             width="stretch",
             alt=f"Two maps of the same {len(picture.labels)} articles in {picture.block}, before and after "
                 f"{picture.label.lower()}, coloured by class: {', '.join(picture.classes)}.")
    st.caption(f"Measured, not drawn by hand: {shell.escape(card.title)}, each dot an article, {example.where(card)}.")


def pictures(ws: str, *, effort: str) -> None:
    """The same comparison on pictures, folded away."""
    api = shell.api()
    sets = {d.id: d for d in api.data.bundled() if d.id in ("openmoji", "mnist-5k")}
    network = next(m for m in api.models.bundled() if m.id == "efficientnet-lite0")
    with st.expander("The same with pictures", icon=":material/image:"):
        chosen = st.segmented_control("Pictures", list(sets), default=next(iter(sets)), key="picture_set",
                                      format_func=lambda i: sets[i].name, persist_state="session")
        dataset = sets[chosen or next(iter(sets))]
        st.markdown(f"Trains **{network.name}**, pretrained on photographs, {len(HOME[dataset.task])} ways on the "
                    f"{dataset.rows:,} pictures of **{dataset.name}** at {effort} effort.")
        comparison(ws, dataset, network, effort=effort, key="first_pictures", primary=False)
        devices.fetched(network, dataset)


def language(ws: str, *, effort: str) -> None:
    """A language model on texts without labels: one run, and what it learned and forgot. Nothing where there is no
    such set."""
    api = shell.api()
    dataset = next((d for d in api.data.bundled() if not d.task.labelled), None)
    model = next((m for m in api.models.bundled() if dataset is not None and dataset.task in m.tasks), None)
    if dataset is None or model is None:
        return
    with st.container(border=True):
        st.header("A language model, and what it forgets")
        st.markdown(f"Small adapters (LoRA) teach **{_short(model)}**, which writes and answers, on "
                    f"**{dataset.name}**. You see which tokens teach, what it answers while it learns, and a verdict: "
                    "what became better, what it forgot elsewhere, and what cannot be told.")
        every = st.toggle("Two more beside it: half of it frozen, and QLoRA in 4 bits", key="language_arms",
                          persist_state="session")
        methods = HOME[dataset.task][:None if every else 1]
        comparison(ws, dataset, model, effort=effort, key="first_language", primary=False, methods=methods,
                   label=f"Train {_short(model)} on {dataset.name}")
