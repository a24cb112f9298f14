"""A reader of TFLite files that trusts nothing in them; knows nothing of kwsd but its errors."""
