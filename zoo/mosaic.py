"""Images side by side in one picture."""

import numpy as np
from matplotlib.axes import Axes

GAP = 1  # white pixels between images


def mosaic(images: np.ndarray, columns: int, low: float, high: float) -> np.ndarray:
    """One picture of many images, row by row.

    Args:
        images: ``shape=(images, channels, height, width)``; three channels are colours, else the first is shown.
        columns: Images in a row.
        low: What is black.
        high: What is white, or a full colour.

    Returns:
        ``shape=(height, width, 3)``, 0 to 1.
    """
    rows, (height, width) = -(-len(images) // columns), images.shape[2:]
    picture = np.ones((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3))
    scaled = ((images.astype(float) - low) / max(high - low, 1e-9)).clip(0, 1)
    for number, image in enumerate(scaled if len(scaled[0]) == 3 else scaled[:, :1]):
        down, right = number // columns * (height + GAP), number % columns * (width + GAP)
        picture[down : down + height, right : right + width] = np.moveaxis(image, 0, -1)
    return picture


def show(axes: Axes, picture: np.ndarray, names: list[str], title: str) -> None:
    """Draw a mosaic with as many rows of images as names, which stand on its left."""
    axes.imshow(picture, interpolation="nearest")
    pitch = (len(picture) + GAP) / max(1, len(names))
    axes.set_yticks((np.arange(len(names)) + 0.5) * pitch - 0.5 - GAP / 2, names, fontsize=8)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left", fontsize=9)
