"""Take it home: what a finished run leaves, its exports with their certificates, and the code that loads them."""

from __future__ import annotations

import streamlit as st

from core.api import CutOff, Export, Offer
from core.domain.run import Run, Status
from core.plots.numbers import duration, percent, size
from pages._ui import downloads, guard, live, shell
from pages._ui.words import word

_SAVED = "Each row that was judged, with the true and the predicted class and the probability of every class."
_TOLD = "Each row that was judged, with its loss in the run and in the untouched model."
_GO_ON = ("Files that are written stay if their checksums fit, and are not written again; so do answers that the "
          "certificate has had.")
_AFRESH = "Throws away what was written, and begins anew."
_PASSED = {True: ":green-badge[:material/verified: certificate passed]",
           False: ":red-badge[:material/error: certificate failed]",
           None: ":gray-badge[:material/help: not checked]"}


def section(ws: str, run: Run) -> None:
    """What a finished run leaves: predictions, artifact, exports, and the code that loads them."""
    taken = shell.api().take_home
    size_bytes = taken.size_bytes(ws, run.id) if run.status.final and run.recipe else 0
    if not size_bytes:
        return
    st.header("Take it home", help=word("artifact"))
    with st.container(horizontal=True, gap="small"):
        st.download_button("Predictions as CSV", data=guard.made(lambda: taken.predictions(ws, run.id)),
                           file_name=f"predictions-{run.id}.csv", mime="text/csv", on_click="ignore", key="predictions",
                           icon=":material/table:", help=_SAVED if run.recipe and run.recipe.task.labelled else _TOLD)
        st.link_button(f"Artifact as ZIP ({size(size_bytes)})", downloads.artifact_address(ws, run.id),
                       icon=":material/folder_zip:")
    with st.expander("Five lines that load it", icon=":material/code:"):
        st.code(taken.code(ws, run.id), language="python")
        st.caption("Unpack the ZIP in Thaw's own folder and run this there (it lies in the ZIP as load.py). The base "
                   "model is not in the ZIP: Thaw reads it from its data folder.")
    if not shell.recorded():
        at = _setting(ws, run)
        busy = any(_working(ws, run, offer, at) for offer in shell.api().exports.offered(ws, run.id, at))
        guard.fragment(_exports, run_every=live.POLL_S if busy else None)(ws, run, at, busy)


def _setting(ws: str, run: Run) -> str:
    """Name of the saved setting of the strength dials that is taken home; empty as trained, without any."""
    saved = list(shell.api().strength.points(ws, run.id))
    if not saved:
        return ""
    return str(st.selectbox("At which strength", ["", *saved], format_func=lambda name: name or "As trained", width=260,
                            key=f"export_at_{run.id}_{len(saved)}", help="Settings that were saved on the Strength "
                            "page. An export at one is compared with what the run's own network says at it."))


def _working(ws: str, run: Run, offer: Offer, at: str) -> Run | None:
    """The job that writes this format now."""
    job = shell.api().exports.job(ws, run.id, offer.form, at)
    return None if job is None or job.status.final else job


def _exports(ws: str, run: Run, at: str, was_busy: bool) -> None:
    """Every format: its button and its certificate, or why it is not offered."""
    with shell.guarded():
        exports = shell.api().exports
        offers = exports.offered(ws, run.id, at)
        there = {export.form: export for export in exports.found(ws, run.id, at)}
        if any(_working(ws, run, offer, at) for offer in offers) != was_busy:
            st.rerun()
        said = "the run's own network says at this setting" if at else "the run recorded"
        st.caption("**For use without Thaw.** Each export is read back by a process that has nothing of Thaw, asked "
                   f"about the run's own test rows, and compared with what {said}. What it found is its "
                   "certificate; a failed one is shown, and the file can still be had.")
        for offer in offers:
            _row(ws, run, offer, there.get(offer.form), at)


def _row(ws: str, run: Run, offer: Offer, there: Export | None, at: str) -> None:
    job = _working(ws, run, offer, at)
    badge = f" {_PASSED[(there.certificate or {}).get('passed')]}" if there and offer.checked else ""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{offer.form}** · {shell.escape(offer.summary)}{badge}", width="stretch")
            if not there:
                _button(ws, run, offer, at, job, f"Export as {offer.form}")
        if there:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                form = f"{offer.form}@{at}" if at else offer.form
                st.link_button(f"ZIP ({size(there.bytes)})", downloads.export_address(ws, run.id, form),
                               icon=":material/download:")
                _button(ws, run, offer, at, job, "Write it again")
        if offer.reason:
            st.caption(f"Not offered: {shell.escape(offer.reason)}")
        if cut_off := shell.api().exports.cut_off(ws, run.id, offer.form, at):
            st.caption(_left(cut_off, offer.checked))
        last = shell.api().exports.job(ws, run.id, offer.form, at)
        if last and last.status is Status.FAILED and last.failure:
            shell.problem(last.failure.what, last.failure.why, last.failure.remedy)
        if there:
            _certificate(there)


def _button(ws: str, run: Run, offer: Offer, at: str, job: Run | None, label: str) -> None:
    """Starts the job that writes it; while one is under way, how far that is."""
    if job:
        _progress(ws, job)
        return
    if offer.reason:
        return
    cut_off = shell.api().exports.cut_off(ws, run.id, offer.form, at) is not None
    if st.button("Go on" if cut_off else label, key=f"export_{offer.form}", help=_GO_ON if cut_off else None,
                 icon=":material/resume:" if cut_off else ":material/ios_share:"):
        _start(ws, run, offer, at, afresh=False)
    if cut_off and st.button("Start over", key=f"export_afresh_{offer.form}", icon=":material/restart_alt:",
                             help=_AFRESH):
        _start(ws, run, offer, at, afresh=True)


def _start(ws: str, run: Run, offer: Offer, at: str, *, afresh: bool) -> None:
    shell.api().exports.start(ws, run.id, offer.form, at, afresh=afresh)
    shell.api().ensure_supervisor()
    st.rerun()


def _left(cut_off: CutOff, checked: bool) -> str:
    """What an attempt that was cut off left. checked: whether a certificate belongs to it."""
    whole = "all of its files" + ("; only the certificate is left to do" if checked else "")
    rest = whole if cut_off.whole else "a part of its files"
    return f"Cut off before it was done. {size(cut_off.bytes)} are written: {rest}."


def _progress(ws: str, job: Run) -> None:
    """How far the job is, and the button that stops it."""
    run, state = live.follow(ws, job.id)
    live.badge(run)
    done, total = state.progress.get("done"), state.progress.get("total")
    note = str(state.progress.get("note", ""))
    st.caption(shell.escape(f"{note or state.phase}" + (f", {percent(done / total)}" if done and total else "")))
    if st.button("Stop", key=f"stop_export_{job.id}", icon=":material/stop:", disabled=run.status is Status.STOPPING):
        shell.api().runs.stop(ws, job.id)
        st.rerun()


def _certificate(there: Export) -> None:
    """In words, and in numbers one layer below."""
    for lines in (there.said, there.notes):
        if lines:
            st.caption(shell.escape(" ".join(lines)))
    found = there.certificate
    if not found or not found.get("metric"):
        return
    with st.expander(f"Certificate of {there.form} in numbers", icon=":material/verified:"):
        metric, strict = found["metric"], found["in_32_bits"]
        rows = {"Test rows": f"{found['rows']:,}", "Other answers": f"{found['flipped']:,}",
                "Largest difference from the record": f"{found['largest_difference']:.3g}",
                "Largest difference in 32 bits": f"{strict['largest_difference']:.3g}",
                "Passes up to": "the run's interval" if strict["tolerance"] is None else f"{strict['tolerance']:g}",
                **{f"{metric['name']} of the {side}": _interval(metric[side]) for side in ("run", "export")},
                "Difference": _interval(metric["difference"]), "Time for the rows": duration(found["seconds"]),
                "Size": size(found["bytes"]),
                "Versions": ", ".join(f"{name} {value}" for name, value in found["versions"].items())}
        st.table({"What": list(rows), "Found": list(rows.values())}, hide_index=True, border="horizontal")


def _interval(value: dict[str, float]) -> str:
    return f"{value['value']:.4g} ({value['low']:.4g} to {value['high']:.4g})"
