"""Made-up layers, and a page of them in a real browser, for the tests that use it as people do."""

import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
OPTIONS = ["--no-sandbox", "--disable-sync", *QUIET, "--use-gl=angle", "--use-angle=swiftshader"]  # draws without a GPU
CHANGED = "(before) => document.getElementById('count').innerText !== before"
HOSTILE = '</script><img src=x onerror="window.hacked=1">, {{script}} "É'
RIGHT = "right, with a name that is longer than the screen of a phone is wide"
SAMPLES, HALF, APART = 240, 120, 20


def made_up() -> dict[str, AnnData]:
    """Two groups and 20 samples apart, left and right in PCA, up and down in UMAP; the second layer swaps the maps."""
    rng = np.random.default_rng(0)
    side = np.repeat([-1.0, 1.0], HALF)
    names = [f"sample {i}" for i in range(SAMPLES)]
    names[7] = HOSTILE
    obs = pd.DataFrame(
        {
            "target": pd.Categorical(np.where(side < 0, "left", RIGHT)),
            "dose": rng.normal(size=SAMPLES).round(3),
            "share": rng.random(SAMPLES).astype(np.float32),
            HOSTILE: [HOSTILE, "a, b", "two\nlines", None] * (SAMPLES // 4),
            "split": np.tile(["train", "train", "validation", "test"], SAMPLES // 4),
        },
        index=names,
    )
    obs.loc[obs.index[3], "dose"] = np.nan
    wide = np.column_stack([2 * side, np.zeros(SAMPLES)]) + rng.uniform(-1, 1, (SAMPLES, 2))
    wide[:APART, 0] -= 3
    second = AnnData(rng.normal(size=(SAMPLES, 4)).astype(np.float32), obs=obs)
    first = second.copy()
    first.uns["layer"] = "latent"
    first.obsm["X_pca"], first.obsm["X_umap"] = wide, wide[:, ::-1].copy()
    second.obsm["X_pca"], second.obsm["X_umap"], second.obsm["X_tsne"] = wide[:, ::-1].copy(), wide, -wide
    return {"first": first, "second": second}


def coloured(screenshot: bytes, colour: tuple[int, int, int]) -> int:
    """How many pixels are of about this colour; points are a little transparent."""
    picture = np.asarray(Image.open(io.BytesIO(screenshot)).convert("RGB")).astype(int)
    return int((np.abs(picture - colour).max(-1) < 60).sum())


class Opened:
    """A page, and everything that it asked for or complained about."""

    def __init__(self, browser, path: Path, **options) -> None:
        context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **options})
        self.page, self.requests, self.errors = context.new_page(), [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.set_default_timeout(90_000)
        self.page.goto(path.as_uri())
        self.settle()

    def settle(self) -> None:
        """Wait for what was started to be drawn."""
        self.page.evaluate("new Promise((done) => setTimeout(() => requestAnimationFrame(() => setTimeout(done)), 40))")

    def place(self, xy: np.ndarray, number: int = 0) -> tuple[float, float]:
        """Where a point of a map is on the screen."""
        x, y = (
            self.page.locator(".drawing")
            .nth(number)
            .evaluate(
                """(drawing, [x, y]) => {
              const { xaxis, yaxis } = drawing._fullLayout, box = drawing.getBoundingClientRect();
              return [box.x + xaxis._offset + xaxis.l2p(x), box.y + yaxis._offset + yaxis.l2p(y)];
            }""",
                [float(xy[0]), float(xy[1])],
            )
        )
        return x, y

    def box(self, low: tuple[float, float], high: tuple[float, float], number: int = 0) -> None:
        """Select by dragging."""
        self.drag("select", [low, high], number)

    def drag(self, tool: str, corners: list[tuple[float, float]], number: int = 0) -> None:
        button = self.page.locator(f"[data-tool={tool}]")
        if button.get_attribute("aria-pressed") == "false":
            button.click()
        places = [self.place(np.array(corner), number) for corner in corners]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=4)
        before = self.page.locator("#count").inner_text()
        self.page.mouse.up()
        self.page.wait_for_function(CHANGED, arg=before)
        self.settle()

    def drawn(self, number: int = 0) -> list[int]:
        """How many points are faded, and how many are not, in a map."""
        return (
            self.page.locator(".drawing")
            .nth(number)
            .evaluate(
                """(drawing) => {
              const [faded, ...others] = drawing.data.map((trace) => trace.x.length);
              return [faded, others.slice(0, -1).reduce((sum, count) => sum + count, 0)];
            }"""
            )
        )

    def pixels(self, colour: tuple[int, int, int], number: int = 0) -> int:
        """How many pixels of a map are of about this colour."""
        return coloured(self.page.locator(".drawing").nth(number).screenshot(), colour)
