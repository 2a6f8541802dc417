import streamlit as st

from pages._ui import example, shell
from pages._ui.advice import page

shell.require_entrypoint()

shell.title("Advice")
if example.closed("Advice is about your own data; in your own workspace you can ask for it."):
    shell.stop()
st.markdown("Which method fits these data, this base model and this device? What your own runs say counts first, then "
            "what Thaw measured on its bundled sets, then papers; and an experiment settles it.")
page.page(shell.workspace())
