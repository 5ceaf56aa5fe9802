"""What costs how much: `make bench` runs all of these, each prints one table."""
