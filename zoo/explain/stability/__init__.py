"""Which important features return in models trained independently."""
