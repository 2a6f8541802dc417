"""From a file, a paste or a hub set to a dataset: look at its head, say what each column is, hand it to a worker."""

from __future__ import annotations

import secrets
import shutil
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core import settings
from core.api import SHOWN_COLUMNS
from core.domain.dataset import Dataset, Role, Split
from core.errors import DataError, ThawError
from pages._ui import guard, pictures, shell
from pages._ui.data import forms
from pages._ui.data.forms import Form
from pages._ui.words import word

if TYPE_CHECKING:
    from core.api import TablePreview
    from core.data.check import Options

FILES, PASTE, HUB = "Files", "Paste", "Hugging Face hub"
WITH_PICTURES = ("parquet", "arrow", "csv")
"""Tables that may hold the pictures themselves."""
TABLES = ("csv", "tsv", "tab", "txt", "label", "jsonl", "ndjson", "json", "parquet", "arrow", "feather", "xlsx",
          "srt", "vtt", "ass", "ssa", "eml", "mbox", "html", "yml", "yaml", "md")
ARCHIVES = ("zip", "tar", "tgz", "gz", "bz2", "xz", "zst", "tbz2", "txz", "npz")
ARRAYS = ("npy", "bin")
"""What is read where it is chosen together with its classes."""
PICTURES = ("png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "ppm", "pgm")
HELP = {Role.TEXT: "what the model reads", Role.SECOND_TEXT: "read together with the text",
        Role.IMAGE: "names the picture", Role.LABEL: "the class to learn",
        Role.PROMPT: "what is asked", Role.RESPONSE: "the answer to learn",
        Role.SYSTEM: "how answers are to be", Role.MESSAGES: "a whole conversation",
        Role.GROUP: "rows that no split may part, such as those of one book",
        Role.DOMAIN: "where the row is from",
        Role.ID: "rows with the same id never end up on both sides of a split",
        Role.SPLIT: "says train, validation or test itself", Role.IGNORE: "not used"}
NO_SHIFT = "a dataset of its own"


def panel(ws: str) -> None:
    """The whole way in; each step appears when the one before is done."""
    origin = st.segmented_control("From", [FILES, PASTE, HUB], default=FILES, key="import_from", required=True,
                                  label_visibility="collapsed")
    with shell.guarded():
        if origin == PASTE:
            _paste(ws)
        elif origin == HUB:
            _hub(ws)
        else:
            _files(ws)
    path = st.session_state.get("upload_path")
    if path and Path(path).exists():
        with shell.guarded():
            review(ws, Path(path))


def _files(ws: str) -> None:
    """The limits, then the uploader."""
    limits = settings.load()
    st.caption("**Texts**: CSV, TSV, JSONL, JSON, Parquet or XLSX with a column of text and one of labels. "
               "**For language models**: the same with texts alone, prompts and answers, or conversations; plain "
               "text files, chats that WhatsApp, Telegram, Discord, Slack, Facebook or Instagram exported, mail, or "
               "subtitles. "
               "**Pictures**: a zip or tar archive with one folder a class (also within one a "
               "domain), pictures with a table that names them, a table that holds them, or arrays (NPZ, MNIST's "
               "idx, CIFAR's records). "
               f"At most {limits.max_upload_mb:,} MB, {limits.max_rows:,} rows, {limits.max_archive_files:,} files in "
               f"an archive, {limits.max_pixels / 1e6:,.0f} megapixels a picture. Files stay on this server, in your "
               "workspace.")
    key = f"upload_{st.session_state.get('uploads', 0)}"
    st.file_uploader("Files", type=[*TABLES, *ARCHIVES, *PICTURES, *ARRAYS], max_upload_size=limits.max_upload_mb,
                     accept_multiple_files=True, key=key, label_visibility="collapsed",
                     on_change=guard.callback(_arrived), args=(ws, key, limits.max_upload_mb * 1_000_000))
    if refused := st.session_state.pop("upload_refused", None):
        raise refused


def _arrived(ws: str, key: str, most_bytes: int) -> None:
    """Take new files off the server's memory before the page is drawn: `st.file_uploader` returns copies of them."""
    uploads = st.session_state[key]
    if uploads:
        st.session_state["uploads"] = st.session_state.get("uploads", 0) + 1         # a fresh, empty uploader
        try:
            use(ws, keep(ws, uploads, most_bytes=most_bytes))
        except ThawError as error:
            st.session_state["upload_refused"] = error


def _paste(ws: str) -> None:
    st.caption("Rows copied from a spreadsheet with their column names, CSV, or JSON Lines.")
    text = st.text_area("Rows", key="paste_text", height=160, label_visibility="collapsed",
                        placeholder="text\tlabel\nA fine day\tgood")
    if st.button("Look at it", icon=":material/visibility:", key="paste_look"):
        _use(ws, shell.api().data.keep_paste(ws, text or ""))


def _hub(ws: str) -> None:
    """A hub set by its id: a worker fetches it, then it is looked at like an upload."""
    api = shell.api()
    reason = api.data.hub_reason()
    if reason:
        st.markdown(f":material/cloud_off: Not available now: {shell.escape(reason)}.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        off = reason is not None
        hub_id = st.text_input("Id", key="hub_id", placeholder="owner/name", disabled=off, width=260)
        configuration = st.text_input("Configuration", key="hub_configuration", placeholder="its only one",
                                      disabled=off, width=180)
        split = st.text_input("Split", key="hub_split", placeholder="all", disabled=off, width=120)
        go = st.button("Fetch and look at it", icon=":material/download:", key="hub_fetch", disabled=off)
    st.caption("Next come its first rows and what each column is, as for a file. Only data files are read; no code of "
               "the set runs. Its licence is for you to check.")
    if go:
        job = api.data.fetch_hub_set(ws, (hub_id or "").strip(), configuration=(configuration or "").strip() or None,
                                split=(split or "").strip() or None)
        st.session_state["fetching"] = job
        shell.go("dataset", **{"import": job})


def _use(ws: str, path: Path) -> None:
    """Go on with this upload instead of one that was being looked at, and draw the page anew."""
    use(ws, path)
    st.rerun()


def use(ws: str, path: Path) -> None:
    """Make this upload the one that the Data page looks at; one that was looked at before is removed."""
    before = st.session_state.get("upload_path")
    if before and before != str(path):
        forget(ws, Path(before))
    st.session_state["upload_path"] = str(path)


def keep(ws: str, uploads: Sequence[Any], *, most_bytes: int) -> Path:
    """Write uploads to disk at once, so that their bytes leave the server's memory; several files go into one folder.

    Names lose what a file system cannot have. Raises DataError when they are too large together, or cannot be written.
    """
    total = sum(upload.size for upload in uploads)
    if total > most_bytes:
        for upload in uploads:
            _release(upload)
        raise DataError(f"These {len(uploads):,} files have {total / 1e6:,.1f} MB, more than the limit of "
                        f"{most_bytes / 1e6:,.0f} MB.",
                        remedy="Import a part of them, or raise THAW_MAX_UPLOAD_MB and start again.")
    folder = settings.load().workspace(ws) / "uploads" / secrets.token_hex(6)
    home = folder if len(uploads) == 1 else folder / f"{len(uploads)} files"
    try:
        home.mkdir(parents=True)
        for number, upload in enumerate(uploads):
            target = home / _safe(upload.name)
            if target.exists():
                target = home / f"{number} {target.name}"
            with target.open("wb") as out:
                while chunk := upload.read(1 << 20):
                    out.write(chunk)
            _release(upload)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError("The upload could not be kept.",
                        why=f"Writing it to the server's disk failed ({error.strerror}).",
                        remedy="Make room in the data folder (THAW_HOME), then upload it again.") from error
    return target if len(uploads) == 1 else home


def _release(upload: Any) -> None:
    """Let the server forget the bytes of an upload that is on disk; else it keeps them until the session ends."""
    context = get_script_run_ctx()
    if context is not None and hasattr(upload, "file_id"):
        upload.close()
        context.uploaded_file_mgr.remove_file(session_id=context.session_id, file_id=upload.file_id)


def _safe(name: str) -> str:
    """A name that any system can have; all else stays as it is, so that a table finds the pictures that it names."""
    last = unicodedata.normalize("NFC", name.replace("\\", "/").rpartition("/")[2])
    kept = "".join("_" if not c.isprintable() or c in ':*?"<>|' else c for c in last).strip(". ")
    return kept.encode()[-200:].decode(errors="ignore") or "table.csv"


def forget(ws: str, path: Path) -> None:
    """Remove an upload with its folder; a path outside this workspace's uploads is left alone."""
    if st.session_state.get("upload_path") == str(path):
        st.session_state.pop("upload_path")
    uploads = (settings.load().workspace(ws) / "uploads").resolve()
    if path.resolve().parent.parent == uploads:
        shutil.rmtree(path.resolve().parent, ignore_errors=True)


@st.cache_data(max_entries=16, show_spinner="Looking at the first rows…")
def _preview(path: str) -> TablePreview:
    """An upload's head; uploads never change, so each is looked at once."""
    return shell.api().data.preview(Path(path))


def review(ws: str, path: Path, *, shift_of: Dataset | None = None) -> None:
    """First rows, proposed roles, a name, and the button that hands the file to a worker.

    shift_of: the dataset that the file is the shift set of; it is looked at then, and makes no dataset of its own.
    """
    try:
        preview = _preview(str(path))
    except ThawError:
        forget(ws, path)
        raise
    shell.api().data.look_at_upload(path)
    with st.container(border=True):
        seen = "only its beginning was looked at; the import reads all of it"
        if preview.complete:
            seen = f"{preview.rows_read:,} rows"
        st.markdown(f"**{shell.escape(path.name)}** · {shell.escape(preview.format)} · {seen}")
        _head(preview, path)
        form = forms.choose(preview, key=f"form_{path.parent.name}", only=forms.of_dataset(shift_of))
        roles = _roles(preview, form, path.parent.name)
        template = _template(preview, roles, path)
        more = forms.cutting(preview, form, key=path.parent.name)
        if shift_of is None:
            more |= forms.shift_domain(preview, roles, key=path.parent.name)
        if shift_of is None:
            left, right = st.columns(2)
            name = left.text_input("Name of the dataset", value=_name(path), max_chars=80, key=f"dataset_name_{path}")
            bases = {d.id: f"the shift set of {d.name}" for d in shell.api().data.all(ws)
                     if d.task is form.task and not d.rows(Split.SHIFT)}
            use_as = str(right.selectbox("Use it as", [NO_SHIFT, *bases], format_func=lambda d: bases.get(d, d),
                                         key=f"shift_of_{path}", help=word("shift set")))
        else:
            name, use_as = _name(path), shift_of.id
        with st.container(horizontal=True):
            go = st.button("Import" if use_as == NO_SHIFT else "Look at it", type="primary", icon=":material/check:",
                           key="import")
            if st.button("Not this file", key="discard"):
                forget(ws, path)
                st.rerun()
        if go:
            forms.check(form, roles)
            options = shell.api().data.import_options(template=template, **more)
            _hand_over(ws, path, (name or "").strip() or path.name, roles, options, use_as)


def _hand_over(ws: str, path: Path, name: str, roles: dict[str, str], options: Options, use_as: str) -> None:
    """To a worker: an import, or a look at a shift set on the page of its dataset."""
    api = shell.api()
    st.session_state.pop("upload_path", None)
    if use_as == NO_SHIFT:
        shell.go("dataset", **{"import": api.data.submit_import(ws, path, name=name, roles=roles, options=options)})
    api.mending.look_at_shift(ws, use_as, path=path, name=name, roles=roles, options=options)
    shell.go("dataset", dataset=use_as)


def _head(preview: TablePreview, path: Path) -> None:
    """The first rows; of picture sets with the pictures."""
    column = next((c for c, role in preview.roles.items() if role == Role.IMAGE), None)
    shown = _shown(preview)
    rows = [{name: row[name] for name in shown} for row in preview.rows]
    rows = rows if column is None else pictures.with_pictures(rows, column, preview.pictures)
    pictures.table(rows, key="preview", alt=f"First rows of {path.name}", pictures=column is not None,
                   height=220 if column is None else 320)


def _shown(preview: TablePreview) -> list[str]:
    """The columns that are shown: all of an ordinary table; of a wide one those with a role, and the first others."""
    used = [name for name, role in preview.roles.items() if role != Role.IGNORE and name in preview.columns]
    some = {*used[:SHOWN_COLUMNS], *preview.columns[: max(0, SHOWN_COLUMNS - len(used))]}
    return [name for name in preview.columns if name in some]


def _columns(preview: TablePreview, upload: str) -> dict[str, str]:
    """The columns to give roles to, with those proposed: of a wide table those shown, and those that a person adds."""
    if len(preview.roles) <= SHOWN_COLUMNS:
        return preview.roles
    shown = _shown(preview)
    others = [name for name in preview.roles if name not in shown]
    more = st.multiselect(f"{len(others):,} more columns are not used; add some", others, key=f"more_columns_{upload}",
                          max_selections=9)
    return {name: preview.roles[name] for name in (*shown, *more)}


def _roles(preview: TablePreview, form: Form, upload: str) -> dict[str, str]:
    """One select box a column, filled with what was proposed and why."""
    st.markdown("**What is each column?** Proposed from names and contents; change what is wrong.")
    roles: dict[str, str] = {}
    usable = form.roles
    for i, (column, proposed) in enumerate(_columns(preview, upload).items()):
        if i % 3 == 0:  # rows of three, so that a phone keeps the file's order
            columns = st.columns(3)
        with columns[i % 3]:
            role = forms.role(form, proposed, column, preview.roles)
            roles[column] = str(st.selectbox(
                shell.escape(column), list(usable), index=usable.index(role),
                format_func=lambda r: f"{r.value}: {HELP[r]}",
                key=f"role_{upload}_{form.label}_{column}", help=preview.evidence.get(column)))
    return roles


def _template(preview: TablePreview, roles: dict[str, str], path: Path) -> str | None:
    """How several text columns become one text, with examples; None puts each on a line of its own."""
    texts = [column for column, role in roles.items() if role in (Role.TEXT, Role.SECOND_TEXT)]
    if len(texts) < 2:
        return None
    template = st.text_input("How the texts are joined", key=f"template_{path}",
                             placeholder=": ".join(f"{{{t}}}" for t in texts),
                             help="Column names in braces, with anything between them. "
                                  "Empty: each text on a line of its own.")
    joined = preview.joined(roles, template)
    st.caption("The model will read, for example:")
    st.code("\n\n".join(text[:300] for text in joined[:2]), language=None, wrap_lines=True)
    return template or None


def _name(path: Path) -> str:
    """What a dataset from this file is called unless somebody says otherwise."""
    return path.name.removesuffix(path.suffix if path.is_file() else "").removesuffix(".tar").replace("--", "/")

