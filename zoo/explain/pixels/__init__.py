"""Explanations of single predictions for images, series and tables: heat maps, influence of time points, LIME."""
