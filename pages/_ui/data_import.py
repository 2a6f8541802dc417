"""From a file to a dataset: upload, look, say what each column is, import, read the report."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from core import settings
from core.domain.dataset import Role
from core.errors import DataError, ThawError
from pages._ui import shell

if TYPE_CHECKING:
    from core.api import TablePreview

TYPES = ["csv", "tsv", "txt", "jsonl", "json", "parquet", "xlsx"]
USABLE = (Role.TEXT, Role.SECOND_TEXT, Role.LABEL, Role.ID, Role.SPLIT, Role.IGNORE)
HELP = {Role.TEXT: "what the model reads", Role.SECOND_TEXT: "read together with the text", Role.LABEL: "the class to learn",
        Role.ID: "rows with the same id never end up on both sides of a split", Role.SPLIT: "says train, validation or test itself",
        Role.IGNORE: "not used"}


def panel(ws: str) -> None:
    """The whole way from upload to dataset; each step appears when the one before is done."""
    limits = settings.load()
    st.caption(f"CSV, TSV, JSONL, JSON, Parquet or XLSX with one column of text and one of labels; up to {limits.max_upload_mb} MB and "
               f"{limits.max_rows:,} rows. The file stays on this server, in your workspace.")
    upload = st.file_uploader("Table", type=TYPES, max_upload_size=limits.max_upload_mb, key=f"upload_{st.session_state.get('uploads', 0)}",
                              label_visibility="collapsed")
    if upload is not None:
        st.session_state["upload_path"] = str(_keep(ws, upload.name, upload))
        st.session_state["uploads"] = st.session_state.get("uploads", 0) + 1
        st.rerun()
    path = st.session_state.get("upload_path")
    if path and Path(path).is_file():
        with shell.guarded():
            _review(ws, Path(path))


def _keep(ws: str, name: str, upload: Any) -> Path:
    """Write the upload to disk at once, so that its bytes leave the server's memory; the name is reduced to safe characters."""
    safe = "".join(c if c.isalnum() or c in "-_. " else "_" for c in Path(name).name).strip(". ")[-80:] or "table.csv"
    folder = settings.load().workspace(ws) / "uploads" / secrets.token_hex(6)
    folder.mkdir(parents=True)
    target = folder / safe
    with target.open("wb") as out:
        while chunk := upload.read(1 << 20):
            out.write(chunk)
    return target


def _review(ws: str, path: Path) -> None:
    """First rows, proposed roles, a name, and the button that imports."""
    try:
        preview = shell.api().preview_table(path)
    except ThawError:
        st.session_state.pop("upload_path")
        raise
    with st.container(border=True):
        st.markdown(f"**{shell.escape(path.name)}** · first rows")
        st.dataframe(preview.rows, hide_index=True, key="preview", height=220, alt=f"First rows of {path.name}")
        roles = _roles(preview)
        name = st.text_input("Name of the dataset", value=path.stem, max_chars=80, key=f"dataset_name_{path}")
        with st.container(horizontal=True):
            go = st.button("Import", type="primary", icon=":material/check:", key="import")
            if st.button("Not this file", key="discard"):
                _forget(path)
                st.rerun()
        if go:
            _check(roles)
            with st.spinner("Reading and checking every row…"):
                dataset = shell.api().import_table(ws, path, name=(name or path.stem).strip(), roles=roles)
            _forget(path)
            shell.go("data", dataset=dataset.id)


def _roles(preview: TablePreview) -> dict[str, str]:
    """One select box a column, filled with what was proposed and why."""
    st.markdown("**What is each column?** Proposed from names and contents; change what is wrong.")
    roles: dict[str, str] = {}
    columns = st.columns(3)
    for i, (column, proposed) in enumerate(preview.roles.items()):
        with columns[i % 3]:
            roles[column] = str(st.selectbox(
                shell.escape(column), list(USABLE), index=USABLE.index(Role(proposed)) if Role(proposed) in USABLE else len(USABLE) - 1,
                format_func=lambda r: f"{r.value}: {HELP[r]}", key=f"role_{column}", help=preview.evidence.get(column)))
    return roles


def _check(roles: dict[str, str]) -> None:
    for role in (Role.TEXT, Role.LABEL):
        chosen = [c for c, r in roles.items() if r == role]
        if len(chosen) != 1:
            raise DataError(f"{'No' if not chosen else 'More than one'} column is marked as {role.value}.",
                            why=f"Columns: {', '.join(roles)}.", remedy=f"Choose exactly one {role.value} column above.")


def _forget(path: Path) -> None:
    """Drop the uploaded file and its folder."""
    st.session_state.pop("upload_path", None)
    path.unlink(missing_ok=True)
    path.parent.rmdir()
