"""What to try next: algorithms as functions of the history."""
