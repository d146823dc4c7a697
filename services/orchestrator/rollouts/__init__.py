"""The rollout of a run that opted in: built from the run's log, written to the store before the run ends."""
