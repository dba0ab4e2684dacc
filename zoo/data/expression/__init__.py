"""Gene expression as counts, abundances or logarithms, from dense or sparse files."""
