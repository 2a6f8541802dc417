import streamlit as st

from core.models.methods import HOME
from pages._ui import devices, shell
from pages._ui.experiment import actions as experiment
from pages._ui.runs import run_list
from pages._ui.train import form
from pages._ui.words import glossary

shell.require_entrypoint()

PICTURE_SETS = ("openmoji", "mnist-5k")
# Of the six text runs on two processor cores.
TIMES = {"quick": "four to nine minutes", "normal": "more than half an hour", "thorough": "several hours"}

ws, api = shell.workspace(), shell.api()

shell.title("Thaw")
st.markdown(
    "Transfer learning starts from a model that others have pretrained. Thaw trains the same model several ways on "
    "your data: only a new head, some blocks thawed, small adapters, everything, and everything from scratch. "
    "Then it puts the runs side by side, with intervals, so that you see what each way costs and what it buys."
)
devices.line()
effort = form.effort(key="home_effort", default="quick")

dataset, model = api.data.bundled()[0], api.models.bundled()[0]
with st.container(border=True):
    st.header("A first comparison")
    st.markdown(
        f"Trains **{model.name}** six ways on **{dataset.name}** at {effort} effort. "
        f"It takes {TIMES[effort]} on two processor cores; you may close the page meanwhile."
    )
    label = f"Compare on {dataset.name} with {model.name.split(' (')[0]}"
    if st.button(label, type="primary", icon=":material/play_arrow:", key="first_comparison"):
        with shell.guarded():
            ids = api.experiments.compare_bundled(
                ws, dataset=dataset.id, model=model.id, methods=HOME[dataset.task], effort=effort)
            experiment.started(ws, ids, by="home")
    devices.downloads(model, dataset)
with st.container(border=True):
    st.header("The same with pictures")
    sets = {d.id: d for d in api.data.bundled() if d.id in PICTURE_SETS}
    network = next(m for m in api.models.bundled() if m.id == "efficientnet-lite0")
    chosen = st.segmented_control("Pictures", list(sets), default=PICTURE_SETS[0], format_func=lambda i: sets[i].name,
                                  key="picture_set", persist_state="session", help="Each is fetched on first use.")
    pictures = sets[chosen or PICTURE_SETS[0]]
    st.markdown(f"Trains **{network.name}**, pretrained on photographs, five ways on the {pictures.rows:,} pictures of "
                f"**{pictures.name}** at {effort} effort. Pictures take longer than texts: tens of minutes without a "
                "GPU.")
    if st.button(f"Compare on {pictures.name} with {network.name}", icon=":material/play_arrow:", key="first_pictures"):
        with shell.guarded():
            ids = api.experiments.compare_bundled(
                ws, dataset=pictures.id, model=network.id, methods=HOME[pictures.task], effort=effort)
            experiment.started(ws, ids, by="home")
    devices.downloads(network, pictures)

st.header("Recent runs")
run_list.recent(ws, limit=5)
with st.container(horizontal=True):
    shell.link("data", "Bring your own data", icon=":material/upload_file:")
    shell.link("train", "Choose methods yourself", icon=":material/model_training:")
glossary()
