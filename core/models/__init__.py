"""Base models: catalogue, fetching, inspection, blocks, and the methods that make them trainable."""
