"""The command `wideseek`: the local cluster, asking, diagnosing, indexing."""
