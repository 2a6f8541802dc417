from pages._ui import shell
from pages._ui.lesson import page

shell.require_entrypoint()

page.one(shell.workspace())
