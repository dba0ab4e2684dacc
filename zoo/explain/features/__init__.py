"""Models of expression and of several modalities: which features and modalities they rely on."""
