"""Tests of how the bundled assets are made."""
