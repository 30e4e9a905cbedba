"""Who may call, whose things are whose, and how much each may have (docs/security.md)."""
