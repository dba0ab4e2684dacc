"""Autoencoders: samples through a small latent space and back."""
