"""Thaw's engine: everything the app does, without Streamlit. Start reading at `core.api` and `core.domain`."""

import os

__version__ = "0.1.0"

# Threads of one product wait for each other in a busy loop; where other programs want the cores, too, they take each
# other's time (SmolLM2, 4 x 256 tokens, two threads on a busy machine: 12.2 s, 2.3 s with a short wait). Read by
# libgomp when torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
