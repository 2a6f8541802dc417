
from pages._ui import arms, shell
from pages._ui.compare import parts, table
from pages._ui.runs import run_list

shell.require_entrypoint()

ws, api = shell.workspace(), shell.api()

shell.title("Compare")
ids = parts.choose(ws)
if not ids:
    shell.stop()
runs = parts.load(ws, ids)
names = arms.titled([run for run, _ in runs.values()], run_list.titles(ws))
comparison = api.experiments.compare(ws, list(runs))

parts.same_rows(runs, names)
table.table(runs, names)
table.seeds(ws, runs)
metric = parts.quality(runs, names)
parts.paired(ws, runs, names, metric)
parts.learning(comparison, runs, names)
parts.confusions(comparison, runs, names)
parts.differences(comparison, runs, names)
