"""Pages and cards from templates that stand beside the code that fills them."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape


def render(path: Path, **content: Any) -> str:
    """The text of a Jinja template.

    Values are escaped in every template but those of Markdown (``.md.jinja``), so that names from a user's file cannot
    become markup or scripts. A value that the template needs and ``content`` lacks is an error.

    Args:
        path: The template; those that it includes lie in the same folder.
        **content: Its values.
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
