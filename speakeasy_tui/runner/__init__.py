"""Owner of the queue: one process, one SQLite connection, one lane per device.

The runner outlives every terminal. It gives files to engine processes, stores each finished
chunk, writes the outputs, climbs the recovery ladder, and tells clients what changed.
"""
