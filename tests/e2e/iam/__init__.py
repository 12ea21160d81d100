"""The stage under its own roles: what they open, what they refuse, and that all is needed."""
