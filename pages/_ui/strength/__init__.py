"""The Strength page: which run, which dial, its measured curve, and saved settings."""
