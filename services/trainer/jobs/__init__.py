"""Training jobs: their records, their launchers, what they will cost."""
