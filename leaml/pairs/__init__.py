"""Pseudo question-answer pairs: sampled from a generator, checked, and held against what people decided before."""
