"""The shell of all pages: what a server does once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_WARM = """
import gc
from pages._ui import shell
shell._import_heavy()
print(len(gc.get_objects()), gc.get_freeze_count())
"""


def test_the_collection_after_every_poll_does_not_scan_what_was_imported() -> None:
    """Streamlit collects after each run of a page: over all imports that took 0.15 s, in which the other people of a
    workshop wait."""
    done = subprocess.run([sys.executable, "-c", _WARM], capture_output=True, text=True, check=False,
                          cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    scanned, left_alone = map(int, done.stdout.split())
    assert left_alone > 100_000 > 10 * scanned
