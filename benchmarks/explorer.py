"""The latent explorer with 20,000 samples: time to write the page, its size, and its response times in a browser.

Three simulated layers of 64 units, 14,000 training samples of 8 groups, a sample table of 14 columns; one thread. UMAP
is timed after a first small run, because it is compiled for 1 to 2 minutes in each process. The browser is headless
Chromium on the same machine, without a GPU: it renders in software, which is slower than any graphics card. Frames a
second are those of the page while the mouse drags a map; the other times are from the event to the frame that shows its
result, median of 5; the share of scripts, without rendering, indicates the time on a machine with a GPU.

Needs Chromium. Run: ``python benchmarks/explorer.py``
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # libraries read it when imported

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from _common import smoke
from anndata import AnnData
from playwright.sync_api import CDPSession, Page, sync_playwright
from playwright.sync_api import Error as BrowserError

from zoo.latent import explorer, pca, umap

SAMPLES, TRAINING, UNITS, GROUPS, ROUNDS, SECONDS = 20_000, 14_000, 64, 8, 5, 3.0
LAYERS = ("encode", "body.linear1", "body.linear2")
SOFTWARE = ["--no-sandbox", "--disable-background-networking", "--use-gl=angle", "--use-angle=swiftshader"]
ANSWER = """(work) => new Promise((done) => {
  const start = performance.now();
  eval(work);
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
})"""
SELECTION = """() => {
  addEventListener("pointerup", () => { window.released = performance.now(); }, true);
  new MutationObserver(() => requestAnimationFrame(() => setTimeout(() => {
    window.answered ??= performance.now() - window.released;
  }))).observe(document.getElementById("count"), { childList: true });
}"""
FRAMES = "() => { window.frames_ = 0; const next = () => { window.frames_++; requestAnimationFrame(next); }; next(); }"


def layers() -> dict[str, AnnData]:
    """Groups that come apart from layer to layer."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, GROUPS, SAMPLES)
    obs = pd.DataFrame(
        {f"measurement {i}": rng.normal(group, 3).astype(np.float32) for i in range(11)},
        index=[f"sample {i}" for i in range(SAMPLES)],
    )
    held_out = (SAMPLES - TRAINING) // 2
    obs["split"] = np.repeat(["train", "validation", "test"], [TRAINING, held_out, held_out])
    for name in ("target", "prediction"):
        obs[name] = pd.Categorical.from_codes(group, [f"group {i}" for i in range(GROUPS)])
    found = {}
    for depth, name in enumerate(LAYERS, 1):
        x = rng.normal(size=(GROUPS, UNITS))[group] * 0.7 * depth + rng.normal(size=(SAMPLES, UNITS))
        found[name] = AnnData(x.astype(np.float32), obs=obs, uns={"layer": name})
    return found


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def corner(page: Page, x: float, y: float) -> tuple[float, float]:
    """A place in the first map, as shares of its width and height."""
    box = page.locator(".drawing").first.bounding_box()
    assert box
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def scripts(client: CDPSession) -> float:
    """Seconds that the page has spent in scripts so far."""
    return next(
        metric["value"]
        for metric in client.send("Performance.getMetrics")["metrics"]
        if metric["name"] == "ScriptDuration"
    )


def panning(page: Page, client: CDPSession) -> tuple[float, float]:
    """Frames a second while the first map is dragged to and fro; milliseconds of script in each."""
    page.click("[data-tool=pan]")
    page.mouse.move(*corner(page, 0.5, 0.5))
    page.mouse.down()
    before, spent, start, step = page.evaluate("window.frames_"), scripts(client), time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        step += 1
        page.mouse.move(*corner(page, 0.5 + 0.2 * np.sin(step / 10), 0.5))
    frames = page.evaluate("window.frames_") - before
    rate, script = frames / (time.perf_counter() - start), 1000 * (scripts(client) - spent) / max(1, frames)
    page.mouse.up()
    page.click("#reset")
    return rate, script


def change(page: Page, client: CDPSession, control: str, value: int) -> tuple[float, float]:
    """Milliseconds from another choice to the frame that shows it, and those of script."""
    spent = scripts(client)
    work = f"const s = document.getElementById('{control}'); s.value = {value}; s.dispatchEvent(new Event('change'))"
    return float(page.evaluate(ANSWER, work)), 1000 * (scripts(client) - spent)


def selection(page: Page, client: CDPSession) -> tuple[float, float]:
    """Milliseconds from the release of the mouse to the selection in both maps and the table, and those of script."""
    page.evaluate("window.answered = undefined")
    page.click("[data-tool=select]")
    page.mouse.move(*corner(page, 0.25, 0.15))
    page.mouse.down()
    page.mouse.move(*corner(page, 0.5, 0.5), steps=3)
    page.mouse.move(*corner(page, 0.8, 0.8), steps=3)
    spent = scripts(client)
    page.mouse.up()
    page.wait_for_function("window.answered !== undefined")
    script = 1000 * (scripts(client) - spent)
    page.click("[data-tool=select]")
    return float(page.evaluate("window.answered")), script


def told(name: str, times: list[tuple[float, float]]) -> None:
    """Print medians."""
    whole, script = (median(column) for column in zip(*times, strict=True))
    print(f"{name:19} {whole:8.0f} ms, {script:.0f} ms of it script")


def browse(path: Path) -> None:
    """Open the page and print how fast it answers."""
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=SOFTWARE)
        except BrowserError:
            return print("Chromium: not installed; the page is not opened")
        page = browser.new_page(viewport={"width": 1400, "height": 950})
        opened = seconds(
            lambda: (page.goto(path.as_uri()), page.wait_for_function("document.querySelector('.plot canvas')"))
        )
        page.evaluate(FRAMES)
        page.evaluate(SELECTION)
        client = page.context.new_cdp_session(page)
        client.send("Performance.enable")
        print(f"open                {opened:8.1f} s")
        for name, control in (("another layer", "layer"), ("another colour", "colour")):
            told(name, [change(page, client, control, i % 2) for i in range(ROUNDS)])
        told("box selection", [selection(page, client) for _ in range(ROUNDS)])
        print(f"                    {page.inner_text('#count')} selected")
        page.click("#clear")
        rate, script = (median(column) for column in zip(*(panning(page, client) for _ in range(3)), strict=True))
        print(f"panning             {rate:8.0f} frames a second, {script:.1f} ms of script in each")
        browser.close()
    return None


def main() -> None:
    """Make the page, and use it."""
    smoke(globals(), SAMPLES=600, TRAINING=400, ROUNDS=1, SECONDS=0.1)
    found = layers()
    umap(found[LAYERS[0]][::3].copy())  # compiles
    print(f"{SAMPLES:,} samples, {len(found)} layers of {UNITS} units; one thread, software rendering")
    for name, step in (("PCA", pca), ("UMAP", umap)):
        times = [seconds(lambda step=step, adata=adata: step(adata)) for adata in found.values()]
        print(f"{name:19} {sum(times):8.1f} s, {median(times):.1f} s a layer")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "latent.html"
        print(f"write the page      {seconds(lambda: explorer(found, title='made-up').write_html(path)):8.1f} s")
        print(f"size of the page    {path.stat().st_size / 1e6:8.1f} MB")
        if os.environ.get("KEEP"):
            shutil.copy(path, os.environ["KEEP"])
        browse(path)


if __name__ == "__main__":
    main()
