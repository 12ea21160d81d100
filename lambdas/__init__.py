"""One role per folder: `handler.py` is the adapter, the core is keyword-only functions."""
