"""A deterministic OpenAI-compatible engine that plays lead and subagent by rule.

It decides from the prompt alone, as a policy does: what it knows of the world is what tool results in its context
say. Its log-probability is 0.0 by definition. Reading order: `app` (HTTP), `policy` (who is asked), `lead` and
`subagent` (what to do), `request` and `questions` (reading a query), `targets` and `board` (what is known by now),
`pages`, `matching` and `values` (reading labelled facts), `prose` and `places` (reading running text),
`open_questions` (the little that is done where no more is understood than the question itself).
"""
