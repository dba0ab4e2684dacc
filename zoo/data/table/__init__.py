"""Tables of one row a sample: clinical measurements, and other numbers and categories."""
