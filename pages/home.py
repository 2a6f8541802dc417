import streamlit as st

from pages._ui import devices, example, shell, start
from pages._ui.runs import run_list
from pages._ui.train import form
from pages._ui.words import glossary

shell.require_entrypoint()

if shell.recorded():
    example.leave()
ws, api = shell.workspace(), shell.api()
dataset, model = api.data.bundled()[0], api.models.bundled()[0]

shell.title("Thaw")
left, right = st.columns([11, 9], gap="large")
with left:
    st.markdown(
        "Take a model that others have pretrained, train it several ways on the same data, and see by measurement what "
        "each way buys, what it costs, and what it changed inside the model."
    )
    with st.container(border=True):
        st.header("A first comparison")
        st.markdown(f"Six ways to train **{model.name.split(' (')[0]}**, a small model that reads sentences, to sort "
                    f"the news of **{dataset.name}** into five topics: only a new head, half of it frozen, "
                    "two kinds of small adapters, everything, and everything from scratch.")
        effort = form.effort(key="home_effort", default="quick")
        start.comparison(ws, dataset, model, effort=effort, key="first_comparison")
        example.link("No time? Look at a finished example")
    start.language(ws, effort=effort)
    start.pictures(ws, effort=effort)
    with st.container(horizontal=True):
        shell.link("data", "Bring your own data", icon=":material/upload_file:")
        shell.link("train", "Choose methods yourself", icon=":material/model_training:")
with right:
    start.promise()
st.header("Recent runs")
run_list.recent(ws, limit=5)
with st.expander("What it runs on, and what it fetches", icon=":material/developer_board:"):
    devices.line()
    devices.fetched(model, dataset)
glossary()
