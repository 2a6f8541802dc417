"""One model over HTTP: what it answers is what the run says, in the usual shapes, and errors have three parts."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from core.domain.dataset import Dataset
from core.domain.side import Side, Which
from core.serving import endpoint
from core.settings import Settings
from core.training import artifact
from tests import tiny
from tests.conftest import write_language_dataset, write_picture_dataset
from tests.unit.serving.test_answering import talker, trained

__all__ = ["talker"]


class Http:
    """Requests to an endpoint."""

    def __init__(self, port: int) -> None:
        self.port = port

    def raw(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def post(self, path: str, value: Any, status: int = 200) -> Any:
        code, text = self.raw("POST", path, json.dumps(value).encode(), **{"Content-Type": "application/json"})
        assert code == status, text
        return json.loads(text)


@contextmanager
def serving(side: Side, settings: Settings) -> Iterator[Http]:
    served = endpoint.Endpoint(side, settings, local=True)
    listener, web = socket.create_server(("127.0.0.1", 0)), endpoint.server(served)
    thread = threading.Thread(target=endpoint.run, args=(served, listener, web))
    thread.start()
    try:
        yield Http(listener.getsockname()[1])
    finally:
        web.should_exit = True
        thread.join(60)


def is_refused(found: dict[str, Any]) -> None:
    assert all(found["error"][part] for part in ("message", "what", "why", "remedy"))


def test_texts(settings: Settings, tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    run = trained(tiny_dataset, tiny_model, settings, tmp_path / "run", method="probe")
    texts = [f"goal match team {n}" for n in range(40)]
    expected = artifact.load(Side.of(run, Which.BASE), settings=settings).predict(texts)
    with serving(Side.of(run, Which.BASE), settings) as ask:
        found = ask.post("/predict", {"texts": texts})
        assert [each["label"] for each in found["predictions"]] == [each["label"] for each in expected]
        np.testing.assert_allclose([list(each["probabilities"].values()) for each in found["predictions"]],
                                   [list(each["probabilities"].values()) for each in expected], atol=1e-6)
        assert found["model"] == "run:base" and len(found["files"][0]["sha256"]) == 64
        assert ask.post("/predict", {"text": texts[0]})["predictions"][0]["label"] == expected[0]["label"]
        long = "x" * 200_001
        for wrong in ({}, {"text": ""}, {"text": 3}, {"texts": []}, {"texts": ["a", None]}, {"text": long}, []):
            is_refused(ask.post("/predict", wrong, status=400))
        assert ask.raw("POST", "/predict", b'{"text": "a"}', **{"Content-Type": "text/plain"})[0] == 400
        assert ask.raw("POST", "/predict", b"{", **{"Content-Type": "application/json"})[0] == 400
        assert ask.raw("GET", "/", Host="evil.example")[0] == 400, "another name for this machine is not answered"
        assert ask.raw("POST", "/v1/chat/completions", b"{}")[0] == 404
        document = json.loads(ask.raw("GET", "/openapi.json")[1])
        assert document["openapi"].startswith("3.1") and set(document["paths"]) == {"/predict"}
        assert document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
        page = ask.raw("GET", "/")[1]
        assert "/predict" in page and "http-equiv" not in page and "src=" not in page


def test_pictures(settings: Settings, tmp_path: Path) -> None:
    import base64

    dataset = write_picture_dataset(settings, n_rows=30)
    run = trained(dataset, tiny.vit(tmp_path / "vit"), settings, tmp_path / "run", method="probe", max_length=0)
    picture = (settings.workspace("test-workspace") / "datasets" / dataset.id / "images" / "4.png").read_bytes()
    with serving(Side.of(run), settings) as ask:
        sent = json.loads(ask.raw("POST", "/predict", picture, **{"Content-Type": "image/png"})[1])
        coded = ask.post("/predict", {"picture": base64.b64encode(picture).decode()})
        assert sent == coded and set(sent["predictions"][0]["probabilities"]) == set(dataset.classes)
        status, text = ask.raw("POST", "/predict", b"no picture", **{"Content-Type": "image/png"})
        assert status == 400
        is_refused(json.loads(text))
        is_refused(ask.post("/predict", {"text": "a"}, status=400))


def test_chat_completions(settings: Settings, talker: Path, tmp_path: Path) -> None:
    run = trained(write_language_dataset(settings, n_rows=24, chat=True), talker, settings, tmp_path / "run",
                  batch_size=4, max_length=48)
    user = [{"role": "user", "content": "Who won the cup?"}]
    with serving(Side.of(run), settings) as ask:
        asked = {"messages": user, "temperature": 0, "max_tokens": 8}
        whole = ask.post("/v1/chat/completions", asked)
        said = whole["choices"][0]["message"]["content"]
        assert whole["object"] == "chat.completion" and whole["choices"][0]["finish_reason"] in ("stop", "length")
        assert whole["usage"]["completion_tokens"] <= 8 and whole["usage"]["prompt_tokens"] > 0
        model = artifact.load(Side.of(run), settings=settings)
        assert said == model.answers(["Who won the cup?"], most=8)[0]["answer"]

        _, text = ask.raw("POST", "/v1/chat/completions", json.dumps({**asked, "stream": True}).encode(),
                          **{"Content-Type": "application/json"})
        events = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
        assert events[-1] == "[DONE]"
        deltas = [json.loads(event)["choices"][0] for event in events[:-1]]
        assert deltas[0]["delta"]["role"] == "assistant" and deltas[-1]["finish_reason"]
        assert "".join(each["delta"].get("content", "") for each in deltas) == said

        drawn = {**asked, "temperature": 1.0, "seed": 3}
        assert (ask.post("/v1/chat/completions", drawn)["choices"][0]["message"]
                == ask.post("/v1/chat/completions", drawn)["choices"][0]["message"])
        if len(said.split()) > 2:
            stop = said.split()[1]
            cut = ask.post("/v1/chat/completions", {**asked, "stop": stop})["choices"][0]
            assert stop not in cut["message"]["content"] and cut["finish_reason"] == "stop"
        for wrong in ({}, {"messages": []}, {"messages": [{"role": "wizard", "content": "x"}]},
                      {"messages": [*user, {"role": "assistant", "content": "me"}]}, {"messages": user, "n": 2},
                      {"messages": user, "temperature": "hot"}, {"messages": user, "top_p": 9},
                      {"messages": user, "stop": [3]}, {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
                      {"messages": [{"role": "user", "content": " "}]}):
            is_refused(ask.post("/v1/chat/completions", wrong, status=400))
        parts = [{"role": "user", "content": [{"type": "text", "text": "Who won the cup?"}]}]
        again = ask.post("/v1/chat/completions", {**asked, "messages": parts})
        assert again["choices"][0]["message"]["content"] == said
        assert json.loads(ask.raw("GET", "/v1/models")[1])["data"][0]["id"] == "run:tuned"
        assert ask.post("/predict", {"text": "Who won the cup?", "max_tokens": 8})["predictions"][0]["answer"] == said
