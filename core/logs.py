"""Log files of the data folder: what was unforeseen is written there in full, and named where it is told in words."""

from __future__ import annotations

import logging
from pathlib import Path

from core import files
from core.settings import Settings

FOLDER = "logs"
WEB, WORKER, SUPERVISOR, SERVING = (f"{FOLDER}/{name}.log" for name in ("web", "worker", "supervisor", "serving"))
"""Below the data folder."""
LIMIT_BYTES = 5_000_000
_FORMAT = "%(asctime)s %(process)d %(name)s %(levelname)s %(message)s"

_kept: dict[Path, logging.Handler] = {}


def to_file(settings: Settings, name: str, *, level: int = logging.INFO) -> None:
    """From now on, what Thaw's loggers write from that level on goes to this file, too. Never fails."""
    path = settings.home / name
    if path in _kept:
        return
    try:
        rotate(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    except OSError as error:
        logging.getLogger("thaw").warning("No log is kept in %s: %s", path, error)
        return
    handler.setFormatter(logging.Formatter(_FORMAT))
    handler.setLevel(level)
    _kept[path] = handler
    logger = logging.getLogger("thaw")
    logger.addHandler(handler)
    if logger.level == logging.NOTSET or logger.level > level:
        logger.setLevel(level)


def rotate(path: Path) -> None:
    """Keep one old log, so that the file stays small."""
    if path.exists() and path.stat().st_size > LIMIT_BYTES:
        files.move(path, path.with_suffix(".old.log"))
