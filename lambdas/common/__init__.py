"""What two roles use."""
