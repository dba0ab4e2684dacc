"""Simulated vessels and aneurysms with exact masks; the same seed gives the same data on every machine."""

from typing import NamedTuple

import numpy as np
import pandas as pd

Random = np.random.RandomState  # the generator of NumPy whose numbers are fixed between releases
STEP = 0.7  # pixels between two points of a centre line
AT_ONCE = 1 << 22  # distances in memory


class Line(NamedTuple):
    """Centre line of one vessel per sample.

    Attributes:
        place: Points in pixels, ``shape=(samples, points, axes)``.
        heading: Direction at each point, unit vectors, ``shape=(samples, points, axes)``.
        radius: In pixels, ``shape=(samples, points)``; 0 where there is no vessel.
    """

    place: np.ndarray
    heading: np.ndarray
    radius: np.ndarray


def vessels(seed: int = 0, samples: int = 160, size: int = 64) -> pd.DataFrame:
    """Images of bright, curved, branching, tapering vessels, with exact masks.

    Vessels have a Gaussian profile. The background has uneven illumination, noise, and round bright spots that are not
    vessels.

    Args:
        seed: Seed of all random draws.
        samples: Number of images.
        size: Height and width, in pixels.

    Returns:
        One row per image: ``image``, uint8 ``(1, size, size)``, and ``mask``, uint8 ``(size, size)``: 1 is vessel.
    """
    random = Random(seed)
    trunk = _trunk(random, samples, 2, size, radius=(1.7, 2.9), bend=0.02)
    branches = [_branch(random, trunk, int(size * share), bend=0.03) for share in (1.0, 0.8, 0.6)]
    twigs = [_branch(random, branch, size // 2, bend=0.04) for branch in branches]
    squares = _squares([trunk, *branches, *twigs], size)
    images = _picture(random, squares, contrast=(40, 100), spots=5)
    return pd.DataFrame({"image": list(images), "mask": list((squares <= 1).astype(np.uint8))})


def aneurysms(seed: int = 0, samples: int = 240, size: int = 24) -> pd.DataFrame:
    """Volumes with a curved, branching vessel, half of which has an aneurysm: a bulge on the wall.

    Because of bright spots beside the vessel, forks and different widths, total brightness does not predict the class.

    Args:
        seed: Seed of all random draws.
        samples: Number of volumes; half of them have an aneurysm.
        size: Depth, height and width, in pixels.

    Returns:
        One row per volume: ``image``, uint8 ``(1, size, size, size)``, ``mask``, uint8 ``(size, size, size)``: 1 is
        vessel, the aneurysm included, and ``aneurysm`` (yes or no).
    """
    random = Random(seed)
    trunk = _trunk(random, samples, 3, size, radius=(1.3, 1.8), bend=0.025)
    branch = _branch(random, trunk, size, bend=0.03)
    has = random.permutation(samples) % 2 == 0
    squares = _squares([trunk, branch, _bulge(random, trunk, has, size)], size)
    images = _picture(random, squares, contrast=(70, 110), spots=2)
    return pd.DataFrame(
        {
            "image": list(images),
            "mask": list((squares <= 1).astype(np.uint8)),
            "aneurysm": np.where(has, "yes", "no"),
        }
    )


def _uniform(random: Random, low: float, high: float, *shape: int) -> np.ndarray:
    return low + (high - low) * random.random_sample(shape)


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths: np.ndarray = np.sqrt(np.square(vectors).sum(-1, keepdims=True))
    result: np.ndarray = vectors / np.maximum(lengths, 1e-9)
    return result


def _walk(random: Random, place: np.ndarray, heading: np.ndarray, radius: np.ndarray, steps: int, bend: float) -> Line:
    """A line of smoothly changing curvature from ``place``, ``(samples, axes)``; its radius decreases by 40%."""
    pull, places, headings = np.zeros_like(place), [], []
    for _ in range(steps):
        pull = 0.9 * pull + bend * random.standard_normal(place.shape)
        heading = _unit(heading + pull)
        place = place + STEP * heading
        places.append(place)
        headings.append(heading)
    return Line(np.stack(places, 1), np.stack(headings, 1), radius[:, None] * np.linspace(1, 0.6, steps))


def _trunk(random: Random, samples: int, axes: int, size: int, radius: tuple[float, float], bend: float) -> Line:
    """A vessel from a point on the border through the middle of the image."""
    side = _unit(random.standard_normal((samples, axes)))
    place = size / 2 + size / 2 * side / np.abs(side).max(1, keepdims=True)
    goal = size / 2 + _uniform(random, -0.2, 0.2, samples, axes) * size
    return _walk(random, place, _unit(goal - place), _uniform(random, *radius, samples), int(1.3 * size / STEP), bend)


def _branch(random: Random, parent: Line, length: int, bend: float) -> Line:
    """A vessel that leaves its parent sideways at a point of its middle, with two thirds of the radius there."""
    samples, points, axes = parent.place.shape
    every, at = np.arange(samples), (points * _uniform(random, 0.15, 0.6, samples)).astype(int)
    heading = parent.heading[every, at]
    aside = random.standard_normal((samples, axes))
    aside = _unit(aside - heading * (aside * heading).sum(1, keepdims=True))
    angle = _uniform(random, 0.5, 1.1, samples)[:, None]
    turned = np.cos(angle) * heading + np.sin(angle) * aside
    radius = np.maximum(0.67 * parent.radius[every, at], 1.0)
    return _walk(random, parent.place[every, at], turned, radius, int(length / STEP), bend)


def _bulge(random: Random, trunk: Line, has: np.ndarray, size: int) -> Line:
    """A ball on the wall of the trunk near the middle of the volume, of radius 0 where ``has`` is False."""
    samples, _, axes = trunk.place.shape
    middle = _uniform(random, 0.3, 0.7, samples, 1, axes) * size
    every, at = np.arange(samples), np.square(trunk.place - middle).sum(2).argmin(1)
    heading = trunk.heading[every, at]
    aside = random.standard_normal((samples, axes))
    aside = _unit(aside - heading * (aside * heading).sum(1, keepdims=True))
    radius = _uniform(random, 2.5, 3.5, samples)
    place = trunk.place[every, at] + aside * (0.9 * radius)[:, None]
    return Line(place[:, None], heading[:, None], (radius * has)[:, None])


def _squares(lines: list[Line], size: int) -> np.ndarray:
    """Squared distance of each pixel from the nearest line, in radii: ``(samples, *spatial)``; 9 beyond two radii."""
    place, radius = (np.concatenate([line[i] for line in lines], 1) for i in (0, 2))
    samples, _, axes = place.shape
    squares = np.full(samples * size**axes, 9.0)
    sample, point = np.nonzero((radius > 0) & ((place > -4) & (place < size + 3)).all(2))
    place, radius = place[sample, point], radius[sample, point]
    widths = np.ceil(2 * radius).astype(int)  # of a window about each point; beyond two radii a vessel is not visible
    for width in np.unique(widths):
        window, points = np.arange(-width, width + 1), np.flatnonzero(widths == width)
        for part in np.array_split(points, 1 + len(points) * len(window) ** axes // AT_ONCE):
            square, at = np.zeros((len(part), 1)), sample[part][:, None]
            for axis in range(axes):
                pixel = np.rint(place[part, axis]).astype(int)[:, None] + window
                one = np.square((pixel - place[part, axis, None]) / radius[part, None])
                one[(pixel < 0) | (pixel >= size)] = 9
                square = (square[:, :, None] + one[:, None]).reshape(len(part), -1)
                at = (at[:, :, None] * size + pixel.clip(0, size - 1)[:, None]).reshape(len(part), -1)
            np.minimum.at(squares, at.ravel(), square.ravel())
    return squares.reshape(samples, *(size,) * axes)


def _picture(random: Random, squares: np.ndarray, contrast: tuple[float, float], spots: int) -> np.ndarray:
    """Images of vessels and spots on an uneven background, with noise: uint8 ``(samples, 1, *spatial)``."""
    samples, size, axes = len(squares), squares.shape[1], squares.ndim - 1
    one_each = (samples, *[1] * axes)
    grid = np.stack(np.meshgrid(*[np.arange(size)] * axes, indexing="ij"))
    light = np.zeros_like(squares)
    for _ in range(3):
        waves = _uniform(random, -4, 4, samples, axes) / size
        light += np.sin(np.tensordot(waves, grid, 1) + _uniform(random, 0, 6.28, *one_each))
    image = _uniform(random, 50, 90, *one_each) + 14 * light
    bright = np.exp(-0.8 * squares)
    for _ in range(spots):
        place = _uniform(random, 0, size, samples, axes).reshape(samples, axes, *[1] * axes)
        width = _uniform(random, 1.2, 2.4, *one_each)
        there = random.random_sample(one_each) < 0.6
        bright = np.maximum(bright, there * np.exp(-np.square(grid - place).sum(1) / (2 * width**2)))
    image += _uniform(random, *contrast, *one_each) * bright + 12 * random.standard_normal(squares.shape)
    result: np.ndarray = np.rint(image.clip(0, 255)).astype(np.uint8)[:, None]
    return result
