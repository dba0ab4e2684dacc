"""Reports on models without a target: how much information their latent space retains."""

from . import evaluate as evaluate
