"""Models of images, series and tables: which pixels, time points and conditions decide for a sample."""
