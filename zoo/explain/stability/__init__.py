"""Stability of feature importance over independently trained models."""
