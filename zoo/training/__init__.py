"""What training any model needs: losses, metrics, optimisers."""
