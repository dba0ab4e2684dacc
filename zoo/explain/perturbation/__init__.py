"""In-silico perturbation: changes in the reconstructions of a generative model when an input is changed."""
