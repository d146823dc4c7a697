"""The conductor: the process of one training job, from tasks to published policies."""
