import streamlit as st

from pages._ui import data_detail, data_import, data_job, data_list, shell

shell.require_entrypoint()

ws, api = shell.workspace(), shell.api()
ref = st.query_params.get("dataset")

if ref is not None:
    shell.link("data", "All datasets", icon=":material/arrow_back:")
    dataset = api.dataset(ws, ref)
    if dataset is None:
        shell.problem("This workspace has no such dataset.", "It was deleted, or it belongs to another workspace.",
                      "Choose one from the list of all datasets.")
        shell.stop()
    data_detail.page(ws, dataset)
    shell.stop()

if (job := st.query_params.get("import")) is not None:
    shell.link("data", "All datasets", icon=":material/arrow_back:")
    data_job.page(ws, job)
    shell.stop()

st.title("Data")
data_list.imports(ws)
data_list.own(ws)
st.subheader("Bring your own data")
data_import.panel(ws)
st.subheader("Bundled datasets")
data_list.bundled(ws)
