"""What a generative model predicts when an input is changed in all samples."""
