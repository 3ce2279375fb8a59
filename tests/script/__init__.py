"""What runs on a node, run for real, and the reader of what it tells."""
