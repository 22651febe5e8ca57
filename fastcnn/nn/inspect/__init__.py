"""Looking at networks: summaries, memory, profiles and traces."""
