"""A burst of uploads to the embedded cloud: every one answered, and no process grows with it."""
