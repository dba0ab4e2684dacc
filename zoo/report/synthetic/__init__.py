"""Reports on synthetic tables: likeness, use and privacy."""
