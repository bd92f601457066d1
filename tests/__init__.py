"""Tests of LEAML Studio."""
