"""Pictures as rows: opened as plain RGB, and augmented. Pillow and numpy only, so that pages can preview it."""
