"""Pages keep their shape: the guard comes first, they stay short, and none of them injects CSS or HTML."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "pages").glob("*.py"))
UI = sorted((ROOT / "pages" / "_ui").rglob("*.py"))


def statements(path: Path) -> list[ast.stmt]:
    body = ast.parse(path.read_text()).body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    return [s for s in body if not isinstance(s, (ast.Import, ast.ImportFrom))]


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_the_first_statement_of_a_page_is_the_guard(path):
    assert ast.unparse(statements(path)[0]) == "shell.require_entrypoint()"


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_a_page_is_short(path):
    assert len(path.read_text().splitlines()) <= 100


@pytest.mark.parametrize("path", [*PAGES, *UI, ROOT / "streamlit_app.py"], ids=lambda p: p.name)
def test_no_page_injects_css_or_html(path):
    assert "unsafe_allow_html" not in path.read_text()


@pytest.mark.parametrize("path", [*PAGES, *UI], ids=lambda p: p.name)
def test_headings_are_in_order(path):
    """A page has one title, which the browser's tab shows too (`shell.title`), and its parts are `st.header`."""
    assert path.name == "shell.py" or "st.title(" not in path.read_text()
    assert "st.subheader(" not in path.read_text()


def test_the_entrypoint_is_short():
    assert len((ROOT / "streamlit_app.py").read_text().splitlines()) <= 40


def test_every_page_is_in_the_navigation():
    from pages._ui import sitemap

    assert PAGES
    assert set(sitemap.PAGES) == {p.stem for p in PAGES}


def test_the_theme_and_the_palette_agree():
    import tomllib

    from core.plots import palette

    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
    assert theme["chartCategoricalColors"] == [palette.arm(i).colour for i in range(palette.arm_count())]
    for mode, background in (("light", palette.LIGHT_BACKGROUND), ("dark", palette.DARK_BACKGROUND)):
        assert theme[mode]["blueColor"] == palette.FROZEN
        assert theme[mode]["orangeColor"] == palette.TRAINING
        assert theme[mode]["backgroundColor"] == background


def test_the_server_shows_neither_tracebacks_nor_docstrings():
    import tomllib

    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert config["client"]["showErrorDetails"] == "none"
    assert config["runner"]["magicEnabled"] is False, "a string on a line of its own would be drawn on the page"
