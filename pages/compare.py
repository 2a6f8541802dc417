import streamlit as st

from pages._ui import arms, compare_parts, shell

shell.require_entrypoint()

ws, api = shell.workspace(), shell.api()

st.title("Compare")
ids = compare_parts.choose(ws)
if not ids:
    shell.empty("Nothing to compare yet. Start some runs on the Train page; each appears here as soon as it is done.", page="train",
                label="Go to Train")
    st.stop()
runs = compare_parts.load(ws, ids)
names = arms.names([run for run, _ in runs.values()])
comparison = api.comparison(ws, list(runs))

compare_parts.table(runs, names)
compare_parts.accuracy(runs, names)
compare_parts.paired(ws, runs, names)
compare_parts.learning(comparison, runs, names)
compare_parts.confusions(comparison, runs, names)
compare_parts.differences(comparison, runs, names)
