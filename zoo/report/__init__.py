"""What a run leaves behind: scores beside a baseline, predictions, figures."""

from .evaluation import Evaluation as Evaluation
from .evaluation import evaluate as evaluate
