"""The page of the latent explorer: one HTML file with its style, its scripts, plotly.js and the data inside."""

import base64
import hashlib
import json
import re
from html import escape
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCRIPTS = ("data", "state", "maps", "pointing", "legend", "selection", "start")  # in this order, as one script


def page(content: dict[str, Any]) -> str:
    """The whole file.

    Nothing in it may load anything: a policy in its head forbids the network, and scripts other than its own two.
    (plotly.js compiles drawing code as it goes, hence ``unsafe-eval``.)

    Args:
        content: From `zoo.latent.page.content.content`.
    """
    from plotly.offline import get_plotlyjs

    scripts = "\n".join((HERE / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    parts = {
        "title": escape(content["title"]),
        "style": (HERE / "style.css").read_text(encoding="utf-8"),
        "content": json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        "plotly": get_plotlyjs(),
        "script": f'"use strict";\n(() => {{\n{scripts}}})();',
    }
    allowed = " ".join(f"'sha256-{_digest(parts[name])}'" for name in ("plotly", "script"))
    parts["policy"] = (
        f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    template = (HERE / "page.html").read_text(encoding="utf-8")
    return re.sub(r"{{(\w+)}}", lambda place: parts[place[1]], template)  # in one pass: data are no template


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
