"""What arrives at real backends, compared with what was sent."""
