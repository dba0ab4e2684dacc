"""Reports on models that predict a target of each sample: scores, baselines and figures by kind of target."""

from . import evaluate as evaluate
from . import survival as survival
