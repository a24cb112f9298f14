"""What commands take: the table of flags, and what is made of them."""
