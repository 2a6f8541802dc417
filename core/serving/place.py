"""Where the model server of a data folder is found: a file with its process, its port and a key. No torch.

The file lies in the data folder, which is closed to other accounts: who can read it may ask the server.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core import files
from core.domain import codec
from core.jobs import process
from core.settings import Settings

FOLDER = "serving"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A model server that answers."""

    name: str
    """Tells it from those before and after."""
    host: str
    """The machine, or container, whose loopback it listens on."""
    port: int
    token: str
    pid: int
    started: float
    birth: str | None

    def alive(self) -> bool:
        """Whether its process lives."""
        return self.host == process.host() and process.alive(self.pid, self.started, self.birth)


def path(settings: Settings) -> Path:
    """The file."""
    return settings.home / FOLDER / "server.json"


def read(settings: Settings) -> Place | None:
    """What the file says, whether or not the server still lives; None without one, or where it is damaged."""
    try:
        return codec.read(Place, files.read_json(path(settings)))
    except (OSError, ValueError):
        return None


def write(place: Place, settings: Settings) -> None:
    """Announce a server that answers."""
    files.write_json(path(settings), codec.to_json(place))


def remove(place: Place, settings: Settings) -> None:
    """Take back the announcement, unless another server's stands there."""
    if (there := read(settings)) and there.name == place.name:
        path(settings).unlink(missing_ok=True)
