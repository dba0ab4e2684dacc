"""Reports on models that predict a target of each sample, and what the kinds of target bring to them."""

from . import evaluate as evaluate
from . import survival as survival
