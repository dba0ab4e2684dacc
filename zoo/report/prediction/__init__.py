"""Reports on models that predict a target of each sample."""
