"""Captions from a teacher: recorded, from any OpenAI-compatible server, or of a model on this computer."""
