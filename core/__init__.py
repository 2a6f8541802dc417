"""Thaw's engine: everything the app does, without Streamlit. Start reading at `core.api` and `core.domain`."""

__version__ = "0.1.0"
