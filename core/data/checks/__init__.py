"""What a careful colleague would look at before training; one file a family, one line each in `registry.CHECKS`."""
