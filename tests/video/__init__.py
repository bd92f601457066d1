"""Clips, made with PyAV."""
