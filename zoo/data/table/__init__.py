"""Tables with one row per sample: clinical measurements, and other numbers and categories."""
