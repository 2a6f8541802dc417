import streamlit as st

from pages._ui import arms, compare_parts, compare_table, run_list, shell

shell.require_entrypoint()

ws, api = shell.workspace(), shell.api()

st.title("Compare")
ids = compare_parts.choose(ws)
if not ids:
    shell.stop()
runs = compare_parts.load(ws, ids)
names = arms.titled([run for run, _ in runs.values()], run_list.titles(ws))
comparison = api.comparison(ws, list(runs))

compare_parts.same_rows(runs, names)
compare_table.table(runs, names)
compare_table.seeds(ws, runs)
compare_parts.accuracy(runs, names)
compare_parts.paired(ws, runs, names)
compare_parts.learning(comparison, runs, names)
compare_parts.confusions(comparison, runs, names)
compare_parts.differences(comparison, runs, names)
