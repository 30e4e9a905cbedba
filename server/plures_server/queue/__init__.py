"""Work queues that agents share, kept in Redis or Valkey."""
