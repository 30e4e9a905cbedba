"""Which member of the family a teacher is, and whether that can be told."""
