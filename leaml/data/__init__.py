"""Bringing data in and out: images, project folders, plain folders, exports."""
