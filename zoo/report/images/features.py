"""Similarity of generated and real images, in the features of a small network trained on the training images only."""

import warnings
from math import log2

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn

from ...models import Model
from ...models.autoencoders.autoencoder import Autoencoder
from ...models.predict.cnn import CNN2D
from ...spec import Spec, modality_of
from ...training.tasks import task_of

STEPS, BATCH, LR = 500, 64, 2e-3  # of the training of the feature network
WIDTH = 64  # features of an image
LARGE = 16  # pixels per side from which the first convolution has stride 2, which is four times faster
SUBSETS, SUBSET = 50, 100  # over which the kernel distance is averaged, and images in each
COMPONENTS = 64  # principal components of the Gaussian baseline


class FeatureNetwork:
    """A small network, trained in seconds on a CPU, whose last hidden layer gives the features of an image.

    Args:
        spec: Spec of the data, images of two dimensions.
        x: Raw images, ``shape=(images, channels, height, width)``.
        y: Their class codes, ``shape=(images,)``; not used without classes.
        seed: Seed of the initial weights and the batches.

    Attributes:
        network: With classes a `CNN2D` that predicts them, else an `Autoencoder`.
    """

    def __init__(self, spec: Spec, x: Tensor, y: Tensor, seed: int = 0) -> None:
        size = min(modality_of(spec)["shape"][1:])
        filters = [16, 32, 32, 32][: max(1, min(4, int(log2(size)) - 1))]
        with torch.inference_mode(False), torch.random.fork_rng([]):
            torch.manual_seed(seed)
            if task_of(spec["target"]).classified:
                same = [1] * (len(filters) - 1)
                strides, pools = ([2, *same], [1, *(2 for _ in same)]) if size >= LARGE else (None, None)
                network: Model = CNN2D(
                    spec=spec,
                    filters=filters,
                    kernel_sizes=[3] * len(filters),
                    strides=strides,
                    pool_sizes=pools,
                    normalisation="batch",
                    hidden=[WIDTH],
                )
            else:
                network = Autoencoder(spec=spec, latent=WIDTH, filters=filters, hidden=[128])
            network.fit_encoders(x, y)
            optimiser = torch.optim.AdamW(network.parameters(), LR)
            plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
            for _ in range(STEPS):
                rows = torch.randint(len(x), (min(BATCH, len(x)),))
                optimiser.zero_grad()
                network.loss({"x": x[rows], "y": y[rows]}).backward()
                optimiser.step()
                plan.step()
        self.network = network.eval()
        with torch.inference_mode():
            self.scale = float(self._embed(x).square().mean().sqrt().clamp(min=1e-9))

    def _embed(self, x: Tensor) -> Tensor:
        return torch.cat([self.network.embed(part) for part in x.split(self.network.rows_at_once)])

    @torch.inference_mode()
    def __call__(self, x: Tensor) -> Tensor:
        """Features of raw images, of mean square 1 over the training images: ``(images, *shape) -> (images, 64)``."""
        return self._embed(x) / self.scale

    @torch.inference_mode()
    def accuracy(self, x: Tensor, y: Tensor) -> float:
        """Share of raw images whose class code, ``(images,)``, is predicted correctly; NaN without classes."""
        if not isinstance(self.network, CNN2D):
            return float("nan")
        parts = x.split(self.network.rows_at_once)
        predicted = torch.cat([self.network.predict_from(self.network(part)).argmax(1) for part in parts])
        return float((predicted == y).float().mean())


class _Features(nn.Identity):
    """Replaces the Inception network of torchmetrics, whose input are features here."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width


def distances(real: Tensor, generated: Tensor) -> dict[str, float]:
    """Distances of two sets of images, from their features ``(images, features)``; 0 is best.

    ``fid``, the Frechet distance of two normal distributions (Heusel et al. 2017, arXiv:1706.08500), which falls with
    the number of images even if both sets have the same distribution; and ``kid``, the squared maximum mean discrepancy
    with a cubic kernel (Binkowski et al. 2018, arXiv:1801.01401), which does not, and may fall below 0. The features
    are those of a `FeatureNetwork`, not Inception's, so values are comparable only between models of the same data.

    Args:
        real: Features of at least 2 real images.
        generated: Features of at least 2 generated images.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    network = _Features(real.shape[1])
    frechet = FrechetInceptionDistance(network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warning about the memory of the features
        kernel = KernelInceptionDistance(network, SUBSETS, min(SUBSET, len(real), len(generated)))
    for metric in (frechet, kernel):
        metric.update(real, real=True)
        metric.update(generated, real=False)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)  # for the subsets of the kernel distance
        return {"fid": float(frechet.compute()), "kid": float(kernel.compute()[0])}


def nearest(training: Tensor, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the nearest training image, and its position, from features ``(images, features)``.

    Returns:
        Two arrays of ``shape=(images,)``.
    """
    found = NearestNeighbors(n_neighbors=1).fit(training.numpy())
    distance, place = found.kneighbors(images.numpy())
    return distance[:, 0], place[:, 0]


def gaussian_images(x: Tensor, y: Tensor, labels: Tensor, seed: int = 0) -> Tensor:
    """Images from a normal distribution of principal components of the training images, one for each class.

    Args:
        x: Raw training images, ``shape=(images, *shape)``.
        y: Their class codes, ``shape=(images,)``.
        labels: Class codes of the images to draw; a code that does not occur in ``y`` is drawn from all images.
        seed: Seed of the draws.

    Returns:
        ``shape=(len(labels), *shape)``, rounded and clipped to the range and type of the training images.
    """
    generator = np.random.default_rng(seed)
    pixels = x.flatten(1).double().numpy()
    pca = PCA(min(COMPONENTS, *pixels.shape), random_state=0).fit(pixels)
    scores = pca.transform(pixels)
    drawn = np.empty((len(labels), pca.n_components_))
    for label in labels.unique().tolist():
        own, wanted = scores[(y == label).numpy()] if (y == label).any() else scores, (labels == label).numpy()
        covariance = np.cov(own.T) if len(own) > 1 else np.zeros((own.shape[1],) * 2)
        drawn[wanted] = generator.multivariate_normal(own.mean(0), np.atleast_2d(covariance), wanted.sum())
    generated = torch.from_numpy(pca.inverse_transform(drawn)).view(-1, *x.shape[1:])
    generated = generated.clamp(x.amin().double(), x.amax().double())
    return generated.to(x.dtype) if x.is_floating_point() else generated.round().to(x.dtype)
