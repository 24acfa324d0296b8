"""What the exit status of every command means."""

OK = 0
UNEXPECTED = 1
"""Something that no item is at fault for: a model that cannot be loaded, a full disk, a bug."""
USAGE = 2
ITEMS_FAILED = 3
"""The run went to its end; the records of some items say `failed`."""
INTERRUPTED = 130
