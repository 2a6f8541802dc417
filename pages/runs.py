import streamlit as st

from core.domain.run import JobKind
from pages._ui import run_actions, run_detail, run_list, shell

shell.require_entrypoint()

ws, api = shell.workspace(), shell.api()
run_id = st.query_params.get("run")

if run_id is None:
    st.title("Runs")
    st.caption("The queue and every run of this workspace. Runs go on when you close this page.")
    if not api.runs(ws, kind=JobKind.TRAIN):
        shell.empty("No runs yet. Choose a dataset, a model and methods to start some.", page="train", label="Go to Train")
        shell.stop()
    run_list.everything(ws)
    shell.stop()

shell.link("runs", "All runs", icon=":material/arrow_back:")
run = api.run(ws, run_id)
run_detail.siblings(ws, run)
st.header(shell.escape(run.name))
run_actions.bar(ws, run)
run_detail.panel(ws, run)
run_detail.recipe(run)
