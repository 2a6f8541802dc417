"""One HTML file that needs nothing else: words escaped, figures as data, plotly.js once, and no way to a network.

The browser is told so by a content security policy: whatever a text in the file says, nothing is fetched.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.plots.theme import Chart

POLICY = ("default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
          "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'")
"""`unsafe-eval` is what WebGL traces of plotly.js compile their drawing with."""
_HERE = Path(__file__).parent


def words(text: object) -> str:
    """Text as it is, for HTML and its attributes."""
    return html.escape(str(text), quote=True)


class Document:
    """Sections one after the other; `bytes` is the whole file."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts: list[str] = []
        self._data: dict[str, Any] = {}
        self._levels = 1

    def heading(self, text: str, level: int = 2) -> None:
        """A heading; none is more than one level below the one before."""
        level = min(level, self._levels + 1)
        self._levels = level
        self._parts.append(f"<h{level}>{words(text)}</h{level}>")

    def paragraph(self, text: str, *, kind: str = "") -> None:
        """A paragraph. kind: `note` for what is said in small."""
        self._parts.append(f"<p{_class(kind)}>{words(text)}</p>")

    def list(self, lines: Sequence[str]) -> None:
        """Points."""
        self._parts.append(f"<ul>{''.join(f'<li>{words(line)}</li>' for line in lines)}</ul>")

    def table(self, rows: Sequence[Mapping[str, Any]], *, caption: str) -> None:
        """Rows with the same keys; the first column heads each row. It scrolls sideways by itself."""
        if not rows:
            return
        first, *rest = rows[0]
        head = "".join(f'<th scope="col">{words(name)}</th>' for name in (first, *rest))
        body = "".join(f'<tr><th scope="row">{words(row[first])}</th>'
                       f"{''.join(f'<td>{words(row[name])}</td>' for name in rest)}</tr>" for row in rows)
        self._parts.append(f'<div class="wide" tabindex="0" role="region" aria-label="{words(caption)}"><table>'
                           f"<caption>{words(caption)}</caption><thead><tr>{head}</tr></thead>"
                           f"<tbody>{body}</tbody></table></div>")

    def card(self, title: str, lines: Sequence[tuple[str, str, str]]) -> None:
        """A framed card: its sentence, and lines of (subject, word, sentence); no word where something is stated."""
        inside = "".join(f"<p><strong>{words(subject)}</strong> {_badge(word)}{words(said)}</p>"
                         for subject, word, said in lines)
        self._parts.append(f'<div class="card"><p><strong>{words(title)}</strong></p>{inside}</div>')

    def folded(self, title: str, text: str) -> None:
        """Preformatted text behind its title."""
        self._parts.append(f"<details><summary>{words(title)}</summary><pre>{words(text)}</pre></details>")

    def said(self, title: str, spans: Sequence[tuple[str, str]]) -> None:
        """A text in pieces of (text, kind): `new` and `gone` are marked."""
        tags = {"new": "ins", "gone": "del"}
        inside = "".join(f"<{tags[kind]}>{words(text)}</{tags[kind]}>" if kind in tags else words(text)
                         for text, kind in spans)
        self._parts.append(f'<div class="answer"><p><strong>{words(title)}</strong></p>'
                           f"<p class=\"text\">{inside}</p></div>")

    def chart(self, chart: Chart) -> None:
        """A figure with its finding above it, if it has one, and its alternative text."""
        key = self._kept(chart)
        finding = f"<figcaption>{words(chart.title)}</figcaption>" if chart.title else ""
        self._parts.append(f"<figure>{finding}"
                           f'<div class="chart" role="img" aria-label="{words(chart.alt)}" data-figure="{key}"'
                           f' style="min-height:{int(chart.figure.layout.height or 400)}px"></div></figure>')

    def map(self, chart: Chart, data: Mapping[str, Any]) -> None:
        """A figure whose points are caught with a lasso and listed beside it. data: `rows` (key of shared data), and
        lists with an entry a point."""
        key = self._kept(chart)
        self.data(f"{key}-map", data)
        self._parts.append(
            f'<figure class="map"><figcaption>{words(chart.title)}</figcaption>'
            f'<div class="both"><div class="chart" role="group" aria-label="{words(chart.alt)}" data-figure="{key}"'
            f' data-map="{key}-map"></div>'
            f'<div class="rows"><label>Find rows <input type="search" data-find></label>'
            f'<p class="note" data-count aria-live="polite">Draw round points with the lasso, or type a word: the rows '
            f'are listed here.</p><ol tabindex="0" aria-label="Selected rows" data-list></ol></div></div></figure>')

    def data(self, key: str, value: Any) -> None:
        """Data for the script, under a key."""
        self._data[key] = value

    def _kept(self, chart: Chart) -> str:
        import plotly.graph_objects as go

        figure = go.Figure(chart.figure)
        figure.layout.template = go.layout.Template()  # the page has its own colours, of both themes
        figure.layout.uirevision = None
        key = f"figure-{sum(1 for name in self._data if name.startswith('figure-')) + 1}"
        self._data[key] = json.loads(figure.to_json())
        return key

    def bytes(self) -> bytes:
        """The file, UTF-8."""
        from plotly.offline import get_plotlyjs

        style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
        data = "".join(f'<script type="application/json" id="{words(key)}">{_inert(value)}</script>'
                       for key, value in self._data.items())
        drawn = f"<script>{get_plotlyjs()}</script><script>{script}</script>" if self._data else ""
        return (f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
                f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
                f'<meta name="viewport" content="width=device-width, initial-scale=1">'
                f'<meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">'
                f"<title>{words(self.title)}</title><style>{style}</style></head><body><main><h1>{words(self.title)}"
                f"</h1>{''.join(self._parts)}</main>{data}{drawn}</body></html>").encode()


def _inert(value: Any) -> str:
    """JSON that no HTML parser takes for anything else."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _class(kind: str) -> str:
    return f' class="{words(kind)}"' if kind else ""


def _badge(word: str) -> str:
    return f'<span class="word {words(word.replace(" ", "-"))}">{words(word)}</span> ' if word else ""
