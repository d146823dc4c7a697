"""The learner: the torch process that turns step manifests into checkpoints and adapters."""
