import streamlit as st

from pages._ui import example, shell
from pages._ui.ask import asking

shell.require_entrypoint()

shell.title("Ask")
if example.closed("Nothing can be started in the recorded example; in your own workspace everything can."):
    shell.stop()
st.markdown("Choose a question. Thaw lays out the runs that can settle it, with several seeds, and answers with an "
            "interval or says that these runs cannot tell.")
asking.page(shell.workspace())
