"""The Try it page: which models, what they are asked, what they answer."""
