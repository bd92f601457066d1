"""Accuracy against labels and expert minutes on real images: `run.py` measures every method, `report.py` tells."""
