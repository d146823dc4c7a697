"""What the scorers compare with: the table in an answer, and cells as text, numbers, dates, hosts and names.

`wideseek.metrics`, `wideseek.judging` and `wideseek.official` are the doors; nothing else need import this.
"""
