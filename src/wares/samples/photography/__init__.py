"""Photos of items, as sellers take them."""
