"""Thaw: see what transfer learning does to your data. Start with `streamlit run streamlit_app.py`."""

import streamlit as st

from pages._ui import access, downloads, example, server, shell, sitemap


def draw() -> None:
    """One run of the script: the workspace, the navigation, the open page."""
    st.set_page_config(page_title=shell.APP, page_icon=":material/ac_unit:", layout="wide")
    access.mend()
    with shell.guarded():
        shell.open_workspace()
        shell.ensure_supervisor()
        page = shell.navigation()
        shell.sidebar()
        server.open_to_others()
        shell.notices()
        example.banner()
        shell.mark_entrypoint()
        server.note_uploader(shown=sitemap.entry_of(page).takes_files)
        shell.run(page)
    shell.warm_up()


if __name__ == "__main__":
    draw()
else:  # the server imports this file to find the app, whose script it is
    server.keep_private()
    server.few_arenas()
    app = st.App(__file__, middleware=server.MIDDLEWARE, routes=downloads.routes())
