"""Explanations of models of DNA: motifs, contributions of bases, effects of mutations and variants."""
