"""The explorer page in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from browsing import APART, CHROMIUM, HALF, HOSTILE, OPTIONS, RIGHT, SAMPLES, Opened, coloured, made_up

from zoo import latent
from zoo.data import TableData
from zoo.models import MLP

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
sync_api = pytest.importorskip("playwright.sync_api")

BLUE, VERMILION = (0, 114, 178), (213, 94, 0)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def layers() -> dict[str, AnnData]:
    return made_up()


@pytest.fixture(scope="module")
def path(layers: dict[str, AnnData], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "latent.html"
    latent.explorer(layers, title=HOSTILE).write_html(path)
    return path


@pytest.fixture(scope="module")
def used(browser, path: Path) -> Opened:
    return Opened(browser, path)


@pytest.fixture
def opened(used: Opened) -> Opened:
    """The page as it was opened, but for the tool and the projections."""
    used.page.select_option("#layer", label="first (4), latent space")
    used.page.select_option("#colour", label="target")  # shows all categories
    for box in used.page.locator("#splits input").all():
        box.check()
    used.page.fill("#search", "")
    used.page.evaluate("document.getElementById('clear').click()")
    used.settle()
    return used


def test_points_are_drawn_in_the_colours_of_the_legend(opened: Opened) -> None:
    for number in range(2):
        assert opened.pixels(BLUE, number) > 1000
        assert opened.pixels(VERMILION, number) > 1000
    assert opened.page.locator("#legend button").all_inner_texts() == ["left\n120", f"{RIGHT}\n120"]
    assert opened.page.locator(".map h2").all_inner_texts() == ["PCA", "UMAP"]


def test_pointing_tells_of_the_sample_and_marks_it_in_both_maps(opened: Opened, layers: dict[str, AnnData]) -> None:
    opened.page.mouse.move(*opened.place(layers["first"].obsm["X_pca"][7]))
    opened.page.wait_for_selector("#tip:visible")
    tip = opened.page.locator("#tip").inner_text().split("\n")
    assert tip[0] == HOSTILE
    assert tip[1:] == ["target", "left", "split", "test"]
    for number in range(2):
        ring = opened.page.locator(".ring").nth(number).bounding_box()
        x, y = opened.place(layers["first"].obsm[("X_pca", "X_umap")[number]][7], number)
        assert abs(ring["x"] + ring["width"] / 2 - x) < 1.5
        assert abs(ring["y"] + ring["height"] / 2 - y) < 1.5


@pytest.mark.parametrize("tool", ["select", "lasso"])
def test_selecting_in_one_map_shows_in_both_and_in_the_table(opened: Opened, tool: str) -> None:
    corners = [(-6.1, -1.05), (-0.5, 1.05)]
    if tool == "lasso":
        corners = [(-6.1, -1.05), (-6.1, 1.05), (-0.5, 1.05), (-0.5, -1.05)]
    opened.drag(tool, corners)
    assert opened.drawn(0) == opened.drawn(1) == [HALF, HALF]
    assert opened.pixels(VERMILION, 1) == 0
    assert opened.page.locator("#count").inner_text() == "120 samples of 240"
    assert opened.page.locator("#summary").inner_text().split() == ["left", "120", "of", "120"]
    assert opened.page.locator("tbody tr").count() == HALF
    assert opened.page.locator("tbody th").nth(7).inner_text() == HOSTILE
    opened.page.click("#clear")
    opened.settle()
    assert opened.drawn(1) == [0, SAMPLES]
    assert opened.page.locator("#download").is_disabled()


def test_selection_in_the_other_map_grows_with_the_shift_key(opened: Opened) -> None:
    opened.box((-1.05, -6.1), (1.05, -0.5), 1)
    assert opened.drawn(0) == [HALF, HALF]
    opened.page.keyboard.down("Shift")
    opened.box((-1.05, 0.5), (1.05, 3.1), 1)
    opened.page.keyboard.up("Shift")
    assert opened.drawn(0) == [0, SAMPLES]


def test_the_file_holds_exactly_the_selected_samples(opened: Opened, layers: dict[str, AnnData]) -> None:
    opened.box((-6.1, -1.05), (-3.5, 1.05))
    with opened.page.expect_download() as download:
        opened.page.click("#download")
    found = pd.read_csv(download.value.path(), index_col="sample", keep_default_na=False, na_values={"dose": [""]})
    expected = layers["first"].obs[:APART]
    assert list(found.index) == list(expected.index)
    assert list(found.columns) == list(expected.columns)
    np.testing.assert_array_equal(found["dose"], expected["dose"])
    np.testing.assert_array_equal(found["share"].astype(np.float32), expected["share"])
    assert list(found[HOSTILE]) == list(expected[HOSTILE].fillna(""))
    assert download.value.suggested_filename.endswith("_selection.csv")


def test_other_layer_colour_and_projection(opened: Opened) -> None:
    opened.page.select_option("#layer", label="second (4)")
    opened.settle()
    left, right = opened.page.locator(".map select").all()
    assert [left.input_value(), right.input_value()] == ["PCA", "UMAP"]
    right.select_option("t-SNE")
    opened.settle()
    assert opened.page.locator(".drawing").nth(1).evaluate("(d) => d.layout.xaxis.title.text") == "t-SNE 1"
    opened.page.select_option("#colour", label="dose")
    opened.settle()
    assert opened.pixels(VERMILION) == 0
    assert opened.page.locator("#legend .bar").is_visible()
    assert opened.page.locator("#legend button").all_inner_texts() == ["missing\n1"]
    opened.page.select_option("#layer", label="first (4), latent space")
    opened.settle()
    assert opened.page.locator(".map h2").all_inner_texts() == ["PCA", "UMAP"]


def test_hiding_a_category_and_a_split(opened: Opened) -> None:
    button = opened.page.locator("#legend button").first
    button.focus()
    opened.page.keyboard.press("Enter")
    opened.settle()
    assert button.get_attribute("aria-pressed") == "false"
    assert button.evaluate("(button) => button === document.activeElement")
    assert opened.drawn(0) == [0, HALF]
    assert opened.pixels(BLUE) == 0
    opened.page.get_by_label("train").uncheck()
    opened.settle()
    assert opened.drawn(1) == [0, HALF // 2]
    opened.box((-6.1, -1.05), (3.1, 1.05))
    assert opened.page.locator("#count").inner_text() == "60 samples of 240"  # what is hidden cannot be selected
    opened.page.locator("#legend button").nth(1).dblclick()  # already alone: all again
    opened.settle()
    assert opened.drawn(1) == [HALF // 2, HALF // 2]


def test_finding_samples_by_name(opened: Opened) -> None:
    opened.page.fill("#search", "sample 1")
    opened.page.wait_for_function("document.getElementById('count').textContent === '1 sample of 240'")  # exact match
    assert opened.drawn(1) == [SAMPLES - 1, 1]
    opened.page.fill("#search", "PLE 23")
    opened.page.wait_for_function("document.getElementById('count').textContent.startsWith('11 samples')")
    opened.page.fill("#search", "nobody")
    opened.page.wait_for_function("document.getElementById('count').textContent.includes('“nobody”')")


def test_nothing_in_the_data_is_run_and_nothing_is_loaded(opened: Opened, path: Path) -> None:
    page = opened.page
    page.select_option("#colour", index=3)
    opened.box((-6.1, -1.05), (3.1, 1.05))
    assert page.locator("h1").inner_text() == HOSTILE
    assert page.evaluate("window.hacked") is None
    assert not opened.errors
    assert {url for url in opened.requests if not url.startswith(("blob:", "data:"))} == {path.as_uri()}
    blocked = page.evaluate("fetch('https://example.org').then(() => 'loaded', () => 'blocked')")
    assert blocked == "blocked"
    opened.errors.clear()


def test_light_and_dark(opened: Opened) -> None:
    brightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).reduce((sum, n) => sum + Number(n), 0)"
    axis = opened.page.locator(".drawing").first
    assert opened.page.evaluate(brightness) > 600
    opened.page.emulate_media(color_scheme="dark")  # the system goes dark, and the open page with it
    opened.settle()
    assert opened.page.evaluate(brightness) < 150
    assert axis.evaluate("(drawing) => drawing.layout.xaxis.color") == "#9aa7b5"
    assert opened.pixels(VERMILION) > 1000
    opened.page.click("#theme")
    opened.settle()
    assert opened.page.evaluate(brightness) > 600


def test_phone(browser, path: Path, layers: dict[str, AnnData]) -> None:
    opened = Opened(browser, path, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    first, second = (opened.page.locator(".map").nth(number).bounding_box() for number in range(2))
    assert second["y"] > first["y"] + first["height"]
    assert first["width"] > 350
    opened.page.locator(".drawing").first.scroll_into_view_if_needed()
    opened.page.touchscreen.tap(*opened.place(layers["first"].obsm["X_pca"][7]))
    opened.page.wait_for_selector("#tip:visible")
    assert opened.page.locator("#tip b").inner_text() == HOSTILE
    assert opened.page.locator("tbody th").all_inner_texts() == [HOSTILE]
    opened.box((-6.1, -1.05), (-0.5, 1.05))
    assert opened.page.locator("tbody tr").count() == HALF
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_notebook(browser, layers: dict[str, AnnData], tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    notebook = f"<!doctype html><meta charset=utf-8>{latent.explorer(layers['second'])._repr_html_()}"
    (tmp_path / "notebook.html").write_text(notebook, encoding="utf-8")
    page.goto((tmp_path / "notebook.html").as_uri())
    frame = page.frame_locator("iframe")
    frame.locator(".drawing canvas").first.wait_for()
    assert frame.locator("h1").inner_text() == "embedding"
    assert frame.locator(".map").count() == 2


def test_plot_draws_every_sample(browser, pima: TableData, mlp: MLP, tmp_path: Path) -> None:
    adata = latent.pca(latent.embed(mlp, pima))
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    (tmp_path / "plot.html").write_text(latent.plot(adata, "X_pca", interactive=True).to_html(include_plotlyjs=True))
    page.goto((tmp_path / "plot.html").as_uri())
    page.locator("canvas").first.wait_for()
    for colour in (BLUE, VERMILION):  # one a class
        assert coloured(page.screenshot(), colour) > 3000
