"""A discriminator that is told the class of what it judges."""

from torch import Tensor, nn


class Projection(nn.Module):
    """Score of a sample and its class, ``head(features) + class vector . features``.

    The projection discriminator of Miyato and Koyama (2018, arXiv:1802.05637): a class is not fed to the network but
    compared with what it found, so that the features of a sample are the same whatever class it is said to be of.

    Args:
        trunk: Encoded samples to features, ``(batch, *shape) -> (batch, width)``.
        width: Of the features.
        classes: Number of classes; 0 for samples without.

    Shape:
        ``(batch, *shape), (batch,) -> (batch, 1)``
    """

    def __init__(self, trunk: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.trunk, self.head = trunk, nn.Linear(width, 1)
        self.classes = nn.Linear(width, classes, bias=False) if classes else None

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """Without labels, the score of the class that fits each sample best."""
        features = self.trunk(x)
        score: Tensor = self.head(features)
        if self.classes is None:
            return score
        fit: Tensor = self.classes(features)
        return score + (fit.amax(1, keepdim=True) if label is None else fit.gather(1, label.unsqueeze(1)))
