"""Thaw: see what transfer learning does to your data. Start with `streamlit run streamlit_app.py`."""

import streamlit as st

from pages._ui import shell

st.set_page_config(page_title="Thaw", page_icon=":material/ac_unit:", layout="wide")
with shell.guarded():
    shell.open_workspace()
    shell.ensure_supervisor()
    page = shell.navigation()
    shell.sidebar()
    shell.mark_entrypoint()
    page.run()
shell.warm_up()
