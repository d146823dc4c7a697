"""The rollout store: objects are the truth, the Redis stream is an index that can be rebuilt from them."""
