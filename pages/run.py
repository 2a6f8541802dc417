from pages._ui import run_page, shell

shell.require_entrypoint()

run_page.one(shell.workspace())
