"""From choices to recipes: what the effort dial means, which knobs there are, what a run will cost. No torch."""
