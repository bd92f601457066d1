"""Pseudo pairs: sampling, validity, what people decided before."""
