"""The commands' flags: their table, and the settings made of them."""
