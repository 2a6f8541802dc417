"""An export on the Hugging Face hub: what would be seen there, by whom, and the upload itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.data import hub
from core.errors import FailureKind, ThawError
from core.export import certificate, places
from core.settings import Settings

ENDINGS = frozenset({".json", ".safetensors", ".md", ".txt", ".py", ".onnx", ".data", ".model", ".jinja"})
"""Files that exports consist of. Whatever else lies in the folder stays here: rows are in none of these."""
TELLS = {
    "labels.json": "names of classes", "export.json": "names of classes, length and pooling",
    "config.json": "shape of the model, names of classes where it has them", "source.json": "names of columns",
    "recipe.json": "how it was trained", "script.json": "ids of rows (no row)", "result.json": "scores",
    "environment.json": "versions and device", "certificate.json": "scores on the test rows",
    "README.md": "what is written in it"}
"""What files say beside the weights; of others their name is told."""


def check(repo: str, *, settings: Settings, dry: bool) -> None:
    """Raises ThawError where nothing can be uploaded to `repo`: asked before anything is written."""
    if not hub.is_id(repo) or "/" not in repo:
        raise ThawError(f"{repo[:80]!r} is not the name of a repository.",
                        why="It looks like user/name, for instance your-name/bbc-news-classifier.",
                        remedy="Name your account on the hub, a slash, and a new name.")
    if dry:
        return
    if not settings.hub:
        raise ThawError("Nothing can be uploaded.", why="The hub is turned off (THAW_HUB=0).",
                        remedy="Unset THAW_HUB, or add --dry-run to see what would be uploaded.")
    from huggingface_hub import get_token

    if not get_token():
        raise ThawError("There is no Hugging Face token on this machine.",
                        why="An upload is made in the name of an account, and none is logged in.",
                        remedy="Make a token that may write (huggingface.co, Settings, Access Tokens), run hf auth "
                               "login or set HF_TOKEN, then try again; --dry-run needs none.")


def plan(folder: Path, repo: str, *, public: bool) -> dict[str, Any]:
    """{repo, private, files: [{name, bytes, tells}], bytes, left_here: names of what is not uploaded}."""
    there = [path for path in places.inside(folder) if ".cache" not in path.relative_to(folder).parts]
    sent = [path for path in there if path.suffix.lower() in ENDINGS]
    files = [{"name": path.relative_to(folder).as_posix(), "bytes": path.stat().st_size, "tells": _tells(path)}
             for path in sent]
    return {"repo": repo, "private": not public, "files": files, "bytes": sum(path.stat().st_size for path in sent),
            "left_here": [path.relative_to(folder).as_posix() for path in there
                          if path.suffix.lower() not in ENDINGS]}


def _tells(path: Path) -> str:
    return TELLS.get(path.name, "weights" if path.suffix in (".safetensors", ".onnx", ".data") else "")


def send(folder: Path, repo: str, *, public: bool, even_if_failed: bool) -> dict[str, Any]:
    """Upload what `plan` lists, in one commit: all of it or nothing. Returns the plan with `url`.

    Raises ThawError for an export whose certificate failed, for a repository that others can read where that was not
    said, and for whatever the hub refuses.
    """
    check_certificate(folder, even_if_failed=even_if_failed)
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    found, api = plan(folder, repo, public=public), HfApi()
    try:
        api.create_repo(repo, private=not public, exist_ok=True)
        if not public and not api.repo_info(repo).private:
            raise ThawError(f"{repo} is there already, and everybody can read it.",
                            why="An upload is private unless you say otherwise.",
                            remedy="Add --public if everybody may have it, or name another repository.")
        done = api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Export of a run of Thaw",
                                 allow_patterns=[file["name"] for file in found["files"]])
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        raise ThawError(f"The hub did not take {repo}.", kind=FailureKind.FETCH, why=_first_line(error),
                        remedy="Check that the token may write there (hf auth whoami)." if status in (401, 403, 404)
                        else "Try again later; nothing of it was published.") from error
    except (OSError, HTTPError) as error:
        raise ThawError(f"{repo} could not be reached.", kind=FailureKind.FETCH, why=_first_line(error),
                        remedy="Check the connection and try again; nothing of it was published.") from error
    return found | {"url": str(getattr(done, "commit_url", done)).partition("/commit/")[0]}


def check_certificate(folder: Path, *, even_if_failed: bool) -> None:
    """Raises ThawError where it failed and nobody said that it may go out all the same."""
    path = folder / certificate.FILE
    said = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if said.get("passed") is False and not even_if_failed:
        raise ThawError("This export is not uploaded: its certificate failed.",
                        why=" ".join(map(str, said.get("reasons", []))),
                        remedy="Mend what it names, choose another format, or add --even-if-failed: the certificate "
                               "goes with it.")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
