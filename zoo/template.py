"""Pages and cards from Jinja templates."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape


def render(path: Path, **content: Any) -> str:
    """Render a Jinja template.

    Values are escaped in all templates except Markdown (``.md.jinja``), so that names from a user's file cannot become
    markup or scripts. A missing value raises an error.

    Args:
        path: The template; included templates are in the same folder.
        **content: Values of the template.
    """
    environment = Environment(
        loader=FileSystemLoader(path.parent),
        autoescape=select_autoescape(disabled_extensions=("md.jinja",), default=True, default_for_string=True),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(path.name).render(content)
