"""What one would otherwise run a million copies with: each peer does the same work as the server's own agents."""
