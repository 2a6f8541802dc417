"""The Hugging Face hub as a source: whether it answers, and a dataset of it as a file that is imported like any other.

`datasets` is imported inside the function that runs in a worker; it runs no code of a hub set (it reads data files
only).
"""

from __future__ import annotations

import csv
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.data import meter
from core.errors import DataError, FetchError
from core.settings import Settings

_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")
REMEMBERED_S = 60.0
"""How long the hub's answer, or its silence, is remembered."""
_CONFIGURATION = re.compile(r"[\w.,=+-]{1,100}")


_answers: dict[float, tuple[float, bool]] = {}
"""Timeout -> (when it was asked, by the monotonic clock; whether it answered)."""


def hub_answers(timeout_s: float) -> bool:
    """Whether the hub answers within `timeout_s`; remembered for a minute."""
    since, answer = _answers.get(timeout_s, (-REMEMBERED_S, False))
    if time.monotonic() - since >= REMEMBERED_S:
        answer = _ask(timeout_s)
        _answers[timeout_s] = (time.monotonic(), answer)
    return answer


def _ask(timeout_s: float) -> bool:
    import urllib.error
    import urllib.request

    from huggingface_hub import constants

    try:
        urllib.request.urlopen(urllib.request.Request(constants.ENDPOINT, method="HEAD"), timeout=timeout_s)
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


def unavailable(settings: Settings) -> str | None:
    """Why nothing can be had from the hub now, for the screen; None when it answers. Takes at most `hub_timeout_s`."""
    if not settings.hub:
        return "asking the hub is turned off (THAW_HUB=0)"
    if not hub_answers(settings.hub_timeout_s):
        return f"the hub did not answer within {settings.hub_timeout_s:g} seconds"
    return None


def is_id(text: str) -> bool:
    """Whether this has the shape of a hub id: a name, or owner/name."""
    return _ID.fullmatch(text) is not None and ".." not in text


def check_id(hub_id: str, *, configuration: str | None = None) -> None:
    """Raise DataError unless this can be the id of a hub set."""
    if not is_id(hub_id):
        raise DataError(f"{hub_id[:80]!r} is not the id of a hub dataset.",
                        why="An id looks like owner/name, for instance fancyzhx/ag_news.",
                        remedy="Copy it from the dataset's page on the hub.")
    if configuration is not None and not _CONFIGURATION.fullmatch(configuration):
        raise DataError(f"{configuration[:80]!r} is not the name of a configuration.",
                        remedy="Copy it from the dataset's page on the hub.")


def download(hub_id: str, *, configuration: str | None, split: str | None, dest: Path, settings: Settings) -> Path:
    """Bring a hub set into the folder `dest` as a Parquet file, or as a folder of pictures with a table; returns its
    path.

    split: one split, such as `train` or `train[:1000]`; None takes all of them, with a column `split`. Raises
    FetchError with the reason when the hub does not answer or does not have it.
    """
    check_id(hub_id, configuration=configuration)
    if why := unavailable(settings):
        raise FetchError(f"The hub set {hub_id} cannot be fetched.", why=f"{why[0].upper()}{why[1:]}.",
                         remedy="Download the set elsewhere and import its files, or choose a bundled one.")
    meter.report(f"fetching {hub_id}", 0)
    own_cache = dest / ".hub"
    try:
        return load(lambda: _load_dataset(hub_id, configuration, split, own_cache), name=hub_id,
                    dest=dest, settings=settings, cache=own_cache)
    finally:
        shutil.rmtree(own_cache, ignore_errors=True)


def _load_dataset(hub_id: str, configuration: str | None, split: str | None, cache: Path) -> Any:
    from datasets import load_dataset

    if Path(hub_id).exists():  # the library would read the folder of that name
        raise FileNotFoundError(f"{hub_id} was not found on the hub")
    return load_dataset(hub_id, name=configuration, split=split, cache_dir=str(cache))


def load(get: Callable[[], Any], *, name: str, dest: Path, settings: Settings, cache: Path | None = None) -> Path:
    """Write what `get()` returns (a `Dataset` or `DatasetDict` of the `datasets` library) below `dest`; see `download`.

    cache: the folder below which the set may name files of its pictures; without it, none: a set comes from strangers,
    and a path in its rows could name any file of this computer.
    """
    try:
        parts = get()
    except Exception as error:  # the library raises many kinds, all of which mean: this set cannot be had
        raise FetchError(f"The hub set {name} could not be fetched.",
                         why=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
                         remedy="Check the id, the configuration and the split on the dataset's "
                                "page on the hub.") from error
    joined = _join(parts)
    if len(joined) > settings.max_rows:
        raise DataError(f"{name} has {len(joined):,} rows, more than the limit of {settings.max_rows:,}.",
                        remedy=f"Ask for a part of it, such as the split train[:{settings.max_rows}], or raise "
                               "THAW_MAX_ROWS.")
    stem = name.replace("/", "--")
    dest.mkdir(parents=True, exist_ok=True)
    pictures = [column for column, feature in joined.features.items() if type(feature).__name__ == "Image"]
    if pictures:
        return _write_pictures(joined, pictures[0], dest / stem, cache)
    path = dest / f"{stem}.parquet"
    joined.to_parquet(path)
    return path


def _join(parts: Any) -> Any:
    """One `Dataset`; splits become a column `split` when there is none of that name."""
    if not hasattr(parts, "keys"):
        return parts
    from datasets import concatenate_datasets

    named = [part if "split" in part.column_names else part.add_column("split", [str(split)] * len(part))
             for split, part in parts.items()]
    return concatenate_datasets(named)


def _write_pictures(joined: Any, column: str, folder: Path, cache: Path | None) -> Path:
    """`folder/pictures/<n>.png` (whatever their format) and `folder/labels.csv` with the other plain columns."""
    from datasets import Image

    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    raw = joined.cast_column(column, Image(decode=False))
    plain = [name for name, feature in joined.features.items() if type(feature).__name__ in ("Value", "ClassLabel")]
    names = {name: joined.features[name] for name in plain if type(joined.features[name]).__name__ == "ClassLabel"}
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["picture", *plain])
        for index, row in enumerate(raw):
            (folder / "pictures" / f"{index:07}.png").write_bytes(_picture(row[column] or {}, cache))
            cells = (names[name].int2str(row[name]) if name in names and row[name] is not None and row[name] >= 0
                     else None if name in names else row[name] for name in plain)
            writer.writerow([f"pictures/{index:07}.png", *("" if value is None else value for value in cells)])
            if index % 200 == 199:
                meter.report("writing pictures", index + 1, len(joined))
    return folder


def _picture(cell: dict[str, Any], cache: Path | None) -> bytes:
    """The bytes of a picture; none (so that the row is left out by name) where its file is not the set's own."""
    if cell.get("bytes"):
        return bytes(cell["bytes"])
    if not cell.get("path") or cache is None:
        return b""
    path = Path(cell["path"]).resolve()
    return path.read_bytes() if path.is_relative_to(cache.resolve()) and path.is_file() else b""
