"""The objective as pure functions: advantages, weights, masks, rows, losses; each formula beside its code."""
