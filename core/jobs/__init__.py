"""Who works on the queue: a supervisor, its engine, a fresh worker a run, and the bridge from training to the store."""
