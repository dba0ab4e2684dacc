"""Reports on models without a target: what their latent space keeps."""

from . import evaluate as evaluate
