"""Templates: what comes from a user's file stays text."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from zoo.template import render

NAME = '<script>alert("&")</script>'


@pytest.mark.parametrize("file", ["page.html", "page.svg", "card.md"])
def test_values_are_escaped(file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text("<p>{{ name }}</p>\n")
    assert render(tmp_path / file, name=NAME) == "<p>&lt;script&gt;alert(&#34;&amp;&#34;)&lt;/script&gt;</p>\n"
    assert render(tmp_path / file, name="{{ name }}") == "<p>{{ name }}</p>\n"


def test_markdown_is_not_escaped(tmp_path: Path) -> None:
    (tmp_path / "card.md.jinja").write_text("R² > 0.5, {{ name }}\n")
    assert render(tmp_path / "card.md.jinja", name="a < b") == "R² > 0.5, a < b\n"


def test_a_missing_value_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{{ nome }}")
    with pytest.raises(UndefinedError, match="nome"):
        render(tmp_path / "page.html", name=NAME)
