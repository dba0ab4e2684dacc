"""Gene expression, as counts, abundances or logarithms, dense or sparse."""
