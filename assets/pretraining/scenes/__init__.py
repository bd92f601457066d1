"""Scenes: planned as facts, then drawn."""
