"""Importance of features and modalities in models of expression and of several modalities."""
