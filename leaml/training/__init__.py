"""What is minimised, what moves, and the one loop that trains generators and VQA models alike (`train`)."""
