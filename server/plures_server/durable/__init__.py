"""What outlives the server: a log of what cohorts were told, checkpoints of what they became, and the way back."""
