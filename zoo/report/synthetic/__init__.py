"""Reports on synthetic tables: likeness, use and privacy."""

from . import scores as scores
