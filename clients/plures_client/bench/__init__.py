"""`plures bench`: how many times faster than their teacher copies are, and what that costs; over gRPC alone."""
