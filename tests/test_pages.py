"""Pages, opened in a real browser."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo import latent
from zoo.data import TableData
from zoo.models import MLP

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OFFLINE = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_latent_page_draws_every_sample(pima: TableData, mlp: MLP, tmp_path: Path) -> None:
    adata = latent.pca(latent.embed(mlp, pima))
    page = tmp_path / "latent.html"
    page.write_text(latent.plot(adata, basis="X_pca", interactive=True).to_html(include_plotlyjs=True))
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", *OFFLINE, f"--user-data-dir={tmp_path}/b"]
    command += ["--virtual-time-budget=10000", "--window-size=1200,800", f"--screenshot={tmp_path}/page.png"]
    subprocess.run([*command, page.as_uri()], capture_output=True, check=True, timeout=120)
    pixels = np.asarray(Image.open(tmp_path / "page.png").convert("RGB")).astype(int)
    for colour in ((0, 114, 178), (213, 94, 0)):  # one a class; the points are a little transparent
        assert (np.abs(pixels - colour).max(-1) < 70).sum() > 3000
