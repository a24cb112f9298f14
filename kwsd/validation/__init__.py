"""What a value may be, and how a fault of it reads. Knows nothing of the rest of kwsd but its errors."""
