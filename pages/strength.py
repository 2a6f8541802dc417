import streamlit as st

from pages._ui import guard, shell
from pages._ui.strength import choosing, measuring, panel

shell.require_entrypoint()

ws = shell.workspace()
shell.title("Strength")
st.caption("Turn what a run changed up and down: **0** is the base model, **1** the model as trained, and every "
           "setting is measured on the same rows. Nothing is trained.")
chosen = choosing.choose(ws)
if chosen is None:
    shell.stop()
if measuring.ready(ws, chosen):
    guard.fragment(panel.panel)(ws, chosen)
panel.saved(ws, chosen)
