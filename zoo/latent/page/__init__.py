"""The latent explorer page: one HTML file that includes its style, its scripts, plotly.js and the data."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2.utils import htmlsafe_json_dumps

from ...template import render

HERE = Path(__file__).parent
SCRIPTS = ("data", "state", "maps", "pointing", "legend", "selection", "start")  # joined in this order


def page(content: dict[str, Any]) -> str:
    """The complete HTML text.

    The content security policy in its head forbids network access, and all scripts other than plotly.js and its own.
    (``unsafe-eval`` is needed because plotly.js compiles drawing code at run time.)

    Args:
        content: From `zoo.latent.page.content.content`.
    """
    from plotly.offline import get_plotlyjs

    plotly = get_plotlyjs()
    scripts = "\n".join((HERE / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    script = f'"use strict";\n(() => {{\n{scripts}}})();'
    return render(
        HERE / "page.html",
        title=content["title"],
        style=(HERE / "style.css").read_text(encoding="utf-8"),
        content=htmlsafe_json_dumps(content, allow_nan=False, separators=(",", ":")),
        plotly=plotly,
        script=script,
        digests=[_digest(plotly), _digest(script)],
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
