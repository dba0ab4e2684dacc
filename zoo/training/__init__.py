"""Losses, metrics, optimisers and tasks, used by all models."""
