"""Bad inputs for all readers and commands, made from a seed; each must be read, or refused in one line.

``python -m tests.fuzz`` tries many and prints a table, ``python -m tests.fuzz SEED`` repeats one.
"""
