"""A reader of untrusted TFLite files; it depends on nothing of kwsd but its errors."""
