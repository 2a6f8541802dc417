from pages._ui import shell
from pages._ui.data import page

shell.require_entrypoint()

page.everything(shell.workspace())
