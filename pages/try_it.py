import streamlit as st

from pages._ui import shell
from pages._ui.try_it import answers, asking, files, sides

shell.require_entrypoint()

ws = shell.workspace()
shell.title("Try it")
st.caption("Your own input, answered by up to four models beside each other. They are held by a process of their own, "
           "which starts when it is needed.")
chosen = sides.choose(ws)
if chosen is None:
    shell.stop()
with shell.guarded():
    asking.panel(ws, chosen)
answers.section(ws)
with shell.guarded():
    files.section(ws, chosen)
