
from core.planning import names
from pages._ui import shell
from pages._ui.compare import parts, table
from pages._ui.runs import run_list

shell.require_entrypoint()

ws, api = shell.workspace(), shell.api()

shell.title("Compare")
ids = parts.choose(ws)
if not ids:
    shell.stop()
runs = parts.load(ws, ids)
called = names.short([run for run, _ in runs.values()], run_list.titles(ws))
comparison = api.experiments.compare(ws, list(runs))

parts.same_rows(runs, called)
table.table(runs, called)
table.seeds(ws, runs)
metric = parts.quality(runs, called)
parts.paired(ws, runs, called, metric)
parts.learning(comparison, runs, called)
parts.confusions(comparison, runs, called)
parts.differences(comparison, runs, called)
