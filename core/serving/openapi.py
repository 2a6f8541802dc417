"""The OpenAPI document of an endpoint (spec.openapis.org/oas/v3.1.0), and the same as a page that needs no network."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.serving.endpoint import Endpoint

_NUMBER, _TEXT, _WHOLE = {"type": "number"}, {"type": "string"}, {"type": "integer"}
_DRAWING = {"temperature": {**_NUMBER, "minimum": 0, "maximum": 5, "description": "0 takes the likeliest token"},
            "top_p": {**_NUMBER, "exclusiveMinimum": 0, "maximum": 1}, "max_tokens": {**_WHOLE, "minimum": 1},
            "seed": {**_WHOLE, "minimum": 0}}
_FILES = {"type": "array", "items": {"type": "object", "properties": {
    "name": _TEXT, "sha256": _TEXT, "size_bytes": _WHOLE}}, "description": "What the weights were read from"}


def document(served: Endpoint) -> dict[str, Any]:
    """What can be asked of this endpoint."""
    paths = {"/predict": {"post": _predict(served)}}
    if served.loaded.speaks:
        paths["/v1/chat/completions"] = {"post": _chat(served)}
        paths["/v1/models"] = {"get": _operation("The model's name, as chat clients ask for it", {"type": "object"})}
    return {"openapi": "3.1.0", "info": {
        "title": f"Thaw: {served.name}", "version": "1", "description":
            f"{served.loaded.model.task.card.label} with the {served.loaded.model.recipe.base_model} of a run."},
        "paths": paths}


def page(found: dict[str, Any]) -> str:
    """The document for people: every path with an example to copy."""
    parts = [f"<h1>{html.escape(found['info']['title'])}</h1><p>{html.escape(found['info']['description'])} "
             "The machine-readable form is <a href='/openapi.json'>openapi.json</a>.</p>"]
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2><code>{method.upper()} {path}</code></h2><p>{html.escape(operation['summary'])}.</p>")
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                example = content.get("example")
                data = f"-d '{json.dumps(example)}'" if example else "--data-binary @picture.png"
                parts.append(f"<pre>curl -H 'Content-Type: {html.escape(kind.replace('*', 'png'))}' \\\n  "
                             f"{html.escape(data)} \\\n  http://HOST:PORT{path}</pre>")
            answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
            parts.append(f"<details><summary>What it answers</summary><pre>{html.escape(json.dumps(answer, indent=1))}"
                         "</pre></details>")
    style = ("body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;"
             "color-scheme:light dark}pre{overflow:auto;padding:.8rem;border:1px solid #8886;border-radius:.4rem}")
    return (f"<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' "
            f"content='width=device-width'><title>{html.escape(found['info']['title'])}</title><style>{style}</style>"
            f"</head><body>{''.join(parts)}</body></html>")


def _predict(served: Endpoint) -> dict[str, Any]:
    if served.loaded.speaks:
        one = {"type": "object", "properties": {"answer": _TEXT, "tokens": _WHOLE, "ended": {"type": "boolean"},
                                                "notes": {"type": "array", "items": _TEXT}}}
        return _operation("Goes on with a text", _answers(one), {"application/json": {
            "schema": {"type": "object", "properties": {"text": _TEXT, "texts": {"type": "array", "items": _TEXT},
                                                        **_DRAWING}},
            "example": {"text": "Once upon a time", "max_tokens": 40}}})
    one = {"type": "object", "properties": {"label": _TEXT, "probabilities": {
        "type": "object", "additionalProperties": _NUMBER}}}
    if served.reads_pictures:
        return _operation("The class of a picture", _answers(one), {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {"schema": {"type": "object", "required": ["picture"], "properties": {
                "picture": {**_TEXT, "contentEncoding": "base64"}}}, "example": {"picture": "<a file in base64>"}}})
    return _operation("The class of a text, or of each of several", _answers(one), {"application/json": {
        "schema": {"type": "object", "properties": {"text": _TEXT, "texts": {"type": "array", "items": _TEXT}}},
        "example": {"text": "A fine day"}}})


def _chat(served: Endpoint) -> dict[str, Any]:
    message = {"type": "object", "required": ["role", "content"], "properties": {
        "role": {"enum": ["system", "user", "assistant"]}, "content": _TEXT}}
    return _operation("Answers a conversation, in the usual shape of chat completions; with stream, word by word as "
                      "server-sent events", {"type": "object"}, {"application/json": {
                          "schema": {"type": "object", "required": ["messages"], "properties": {
                              "messages": {"type": "array", "items": message}, "model": _TEXT,
                              "stream": {"type": "boolean"}, "stop": {"type": ["string", "array"]}, **_DRAWING}},
                          "example": {"messages": [{"role": "user", "content": "What is the capital of France?"}],
                                      "temperature": 0}}})


def _answers(one: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"predictions": {"type": "array", "items": one}, "model": _TEXT,
                                             "files": _FILES}}


def _operation(summary: str, answer: dict[str, Any], body: dict[str, Any] | None = None) -> dict[str, Any]:
    error = {"description": "What happened, why, and what to do", "content": {"application/json": {"schema": {
        "type": "object", "properties": {"error": {"type": "object", "properties": dict.fromkeys(
            ("message", "what", "why", "remedy"), _TEXT)}}}}}}
    found: dict[str, Any] = {"summary": summary, "responses": {
        "200": {"description": "The answer", "content": {"application/json": {"schema": answer}}}, "400": error}}
    return found if body is None else {**found, "requestBody": {"required": True, "content": body}}
