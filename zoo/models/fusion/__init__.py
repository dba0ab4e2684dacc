"""Models that combine several modalities."""
