"""Pictures as rows: opening any of them as plain RGB, and augmentation. Pillow and numpy only, so that pages can preview it."""
