"""The commands beside the daemon, one file each."""
