"""Networks as they are watched: summaries, memory, profiles and traces."""
