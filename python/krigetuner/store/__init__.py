"""What happened in a study, kept: events, the state they add up to, and where they are stored."""
