"""A deterministic OpenAI-compatible engine that plays lead and subagent by rule.

It decides from the prompt alone, as a policy does: what it knows of the world is what tool results in its context
say. Its log-probability is 0.0 by definition. Reading order: `app` (HTTP), `policy` (who is asked), `lead` and
`subagent` (what to do), `request` (reading a query), `pages` and `matching` and `values` (reading results).
"""
