"""Models of several modalities."""
