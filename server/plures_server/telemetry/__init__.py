"""What a server says of itself: logs, metrics, traces (docs/operations.md)."""
