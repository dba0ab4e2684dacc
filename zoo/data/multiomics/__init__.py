"""Several modalities of the same samples."""
