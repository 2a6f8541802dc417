from pages._ui import shell
from pages._ui.lesson import contents

shell.require_entrypoint()

shell.title("Lessons")
contents.page(shell.workspace())
