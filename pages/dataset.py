from pages._ui import data_page, shell

shell.require_entrypoint()

data_page.one(shell.workspace())
