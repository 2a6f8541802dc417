"""Models at work: a server process that holds them for all pages of a data folder, and its client, which needs no
torch."""
