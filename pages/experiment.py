from pages._ui import shell
from pages._ui.experiment import page

shell.require_entrypoint()

page.one(shell.workspace())
