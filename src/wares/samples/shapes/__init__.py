"""The shapes of all kinds of goods."""
