from pages._ui import shell
from pages._ui.lesson import room

shell.require_entrypoint()

room.page(shell.workspace())
