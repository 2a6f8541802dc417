"""The queue's workforce: a detached supervisor, one fresh worker process a run, and the bridge from training to the
store."""
