"""LEAML: adapt a vision-language model to a specialist domain with very few expert labels (arXiv 2510.03232).

The modules are the interface; importing this package loads none of them.
"""
