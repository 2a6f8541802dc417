"""Scores, bootstrap intervals and the paired test: numpy and scipy only."""
