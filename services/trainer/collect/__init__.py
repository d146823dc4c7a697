"""Sends training tasks through the cluster, groups and rewards the rollouts.

| module | what it does |
| --- | --- |
| `source` | which task comes when |
| `pacing` | how many groups may be on their way, and which a step takes |
| `journal`, `roster` | which groups there are, durably |
| `asker`, `attempts`, `flight` | one run, one rollout, one group to its end |
| `shelf` | the stored rollouts, and what became of each |
| `scoring` | rewards |
| `collector`, `start`, `tally` | all of it, where it begins, and its numbers |
| `demonstrations`, `evaluate` | what supervised training learns from; held-out tasks |
"""
