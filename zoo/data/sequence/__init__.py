"""DNA: FASTA, tables of sequences, and intervals of a genome."""
