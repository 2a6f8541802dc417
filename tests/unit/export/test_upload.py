"""An export on the hub: listed before, private unless said, never with rows, never unseen after a failed certificate.
Only the wire is replaced: what answers is told what a hub would be told."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import huggingface_hub
import pytest
from huggingface_hub.utils._http import default_client_factory

from core.errors import ThawError
from core.export import upload
from core.settings import Settings

REPO = "somebody/tuned"
ON = Settings(home=Path("/nowhere"), hub=True)


class Hub:
    """What a hub does with an upload of small files."""

    def __init__(self) -> None:
        self.private: dict[str, bool] = {}
        self.files: dict[str, bytes] = {}
        self.refuses: int | None = None

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        path, body = request.url.path, request.read()
        assert request.headers["authorization"] == "Bearer hf_secret"
        if self.refuses:
            return httpx2.Response(self.refuses, json={"error": "no"})
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'somebody'}/{asked['name']}"
            there = name in self.private
            self.private.setdefault(name, asked.get("private", asked.get("visibility") == "private"))
            return httpx2.Response(409 if there else 200, json={"url": f"https://huggingface.co/{name}"})
        if path == f"/api/models/{REPO}/preupload/main":
            return httpx2.Response(200, json={"files": [{"path": file["path"], "uploadMode": "regular",
                                                        "shouldIgnore": False, "oid": None}
                                                       for file in json.loads(body)["files"]]})
        if path == f"/api/models/{REPO}/commit/main":
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return httpx2.Response(200, json={"commitUrl": f"https://huggingface.co/{REPO}/commit/c0ffee",
                                             "commitOid": "c0ffee", "success": True})
        if path.startswith(f"/api/models/{REPO}"):
            return httpx2.Response(200, json={"id": REPO, "private": self.private[REPO], "sha": "0" * 40})
        assert path == "/api/validate-yaml", path
        return httpx2.Response(200, json={"errors": [], "warnings": []})


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub()
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    huggingface_hub.set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(hub.answer)))
    yield hub
    huggingface_hub.set_client_factory(default_client_factory)


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., Path]:
    """export(certificate) -> a folder as an exporter leaves it, with rows that somebody put beside it."""
    def write(said: dict[str, Any]) -> Path:
        folder = tmp_path / "export"
        (folder / "adapter").mkdir(parents=True)
        for name, text in {"README.md": "# It", "labels.json": '{"classes": ["a", "b"]}', "predict.py": "pass",
                           "adapter/adapter_model.safetensors": "weights", "rows.parquet": "a row",
                           "texts.csv": "a row", "certificate.json": json.dumps(said)}.items():
            (folder / name).write_text(text, encoding="utf-8")
        return folder

    return write


def test_what_would_be_uploaded_is_listed_without_rows(export: Callable[..., Path]) -> None:
    found = upload.plan(export({"passed": True}), REPO, public=False)
    said = {file["name"]: file["tells"] for file in found["files"]}
    assert set(said) == {"README.md", "labels.json", "predict.py", "adapter/adapter_model.safetensors",
                         "certificate.json"}
    assert said["labels.json"] == "names of classes" and said["adapter/adapter_model.safetensors"] == "weights"
    assert found["private"] and found["left_here"] == ["rows.parquet", "texts.csv"]
    assert found["bytes"] == sum(file["bytes"] for file in found["files"]) > 0


def test_it_is_uploaded_in_one_commit_privately(wire: Hub, export: Callable[..., Path]) -> None:
    found = upload.send(export({"passed": True}), REPO, public=False, even_if_failed=False)
    assert wire.private == {REPO: True} and found["url"] == f"https://huggingface.co/{REPO}"
    assert set(wire.files) == {file["name"] for file in found["files"]} and "rows.parquet" not in wire.files
    assert wire.files["adapter/adapter_model.safetensors"] == b"weights"


def test_everybody_sees_it_only_where_that_is_said(wire: Hub, export: Callable[..., Path]) -> None:
    folder = export({"passed": True})
    wire.private[REPO] = False  # there already, and public
    with pytest.raises(ThawError, match="everybody can read it") as caught:
        upload.send(folder, REPO, public=False, even_if_failed=False)
    assert "--public" in caught.value.remedy and not wire.files
    upload.send(folder, REPO, public=True, even_if_failed=False)
    assert wire.files


def test_a_failed_certificate_goes_out_only_where_that_is_said(wire: Hub, export: Callable[..., Path]) -> None:
    folder = export({"passed": False, "reasons": ["It differs by 3."]})
    with pytest.raises(ThawError, match="certificate failed") as caught:
        upload.send(folder, REPO, public=False, even_if_failed=False)
    assert caught.value.why == "It differs by 3." and not wire.private
    upload.send(folder, REPO, public=False, even_if_failed=True)
    assert "certificate.json" in wire.files


@pytest.mark.parametrize(("status", "remedy"), [(401, "token"), (403, "token"), (500, "later")])
def test_what_the_hub_refuses_is_said_in_three_parts(wire: Hub, export: Callable[..., Path], status: int, remedy: str,
                                                     ) -> None:
    wire.refuses = status
    with pytest.raises(ThawError, match="did not take") as caught:
        upload.send(export({"passed": True}), REPO, public=False, even_if_failed=False)
    assert caught.value.why and remedy in caught.value.remedy


def test_a_hub_that_is_not_there_is_said_in_three_parts(wire: Hub, export: Callable[..., Path]) -> None:
    def gone(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no route")

    huggingface_hub.set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(gone)))
    with pytest.raises(ThawError, match="could not be reached") as caught:
        upload.send(export({"passed": True}), REPO, public=False, even_if_failed=False)
    assert "no route" in caught.value.why and "nothing of it was published" in caught.value.remedy


def test_before_anything_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(ThawError, match="no Hugging Face token") as caught:
        upload.check(REPO, settings=ON, dry=False)
    assert caught.value.why and "--dry-run" in caught.value.remedy
    upload.check(REPO, settings=ON, dry=True)
    with pytest.raises(ThawError, match="not the name of a repository"):
        upload.check("no owner", settings=ON, dry=True)
    with pytest.raises(ThawError, match="Nothing can be uploaded"):
        upload.check(REPO, settings=Settings(home=tmp_path, hub=False), dry=False)
