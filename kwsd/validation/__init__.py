"""Valid values, and the text of faults. Depends on nothing of kwsd but its errors."""
