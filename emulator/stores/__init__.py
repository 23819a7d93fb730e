"""What is kept: key value stores (durable, read from memory)."""
