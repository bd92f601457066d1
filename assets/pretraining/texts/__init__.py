"""What is said and asked about a scene, and plain English."""
