"""Autoencoders: models that compress samples to a latent space and reconstruct them."""
