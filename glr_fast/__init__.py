"""Fine-tunes landmark recognizers on stores that ``glr-shard`` wrote."""
