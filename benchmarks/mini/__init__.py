"""What the bundled model can do: drawn scenes, novel options, grounding, learning from answers, and speed."""
