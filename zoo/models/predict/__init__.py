"""Models that predict a class, a continuous value, a survival time or a mask."""
