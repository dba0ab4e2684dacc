"""Reports on synthetic tables: similarity to real rows, usefulness and privacy."""

from . import scores as scores
