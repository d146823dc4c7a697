"""The model engine: vLLM on the bundled weights, or the expert that plays by rule."""
