"""Read, check, split and keep datasets; fetch the bundled ones. Never imports torch."""
